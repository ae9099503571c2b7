"""Tells people what happened, and never keeps the controller waiting.

    controller ─▶ queue ─▶ Notifications (a thread): Grouping ─▶ queue ─▶ Courier (a thread for each channel) ─▶ channel

Every queue has a bound. What does not fit, or cannot be sent, is lost, counted, and said with the next message. What
cannot be told from here is the controller's own end: `mailbrake status`, the milter's log and alerts.yml tell that.
"""

from logwatch.telling.notify.channels import channels_of
from logwatch.telling.notify.courier import Clocks, Notifications
from logwatch.telling.notify.grouping import Grouping
from logwatch.telling.notify.message import Happening, Message

__all__ = ["Clocks", "Grouping", "Happening", "Message", "Notifications", "channels_of"]
