"""`python -m logwatch` is `mailbrake`."""

import sys

from logwatch.start import mailbrake

sys.exit(mailbrake())
