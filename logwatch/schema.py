"""The columns that the rooms hand on to one another: events, rates, decisions.

Rooms import nothing from each other but this file. Names are the MTA's own log keys and DESIGN's vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

# One table of the pipeline: equally long columns by name. Plain arrays rather than a DataFrame: building a
# frame costs more than reading the few lines of a live batch. `logwatch.read` and `rates` give real frames.
Columns = dict[str, NDArray[Any]]

EVENTS = (
    "connect",
    "disconnect",
    "lost_connection",
    "accept",
    "queued",
    "message_id",
    "delivery",
    "reject",
    "milter_reject",
    "milter_hold",
    "auth_ok",
    "auth_failure",
    "notification",
    "expired",
    "removed",
    "pickup",
    "rate_limit",
    "log_loss",
    "verdict",
)

# What stands in a log line, in the order in which `mailbrake events` prints it.
LINE_COLUMNS = (
    "line",
    "time",
    "host",
    "program",
    "service",
    "daemon",
    "pid",
    "queue_id",
    "event",
    "client_name",
    "client_ip",
    "client_port",
    "helo",
    "sasl_method",
    "sasl_username",
    "sasl_sender",
    "sender",
    "recipient",
    "orig_to",
    "relay_host",
    "relay_ip",
    "relay_port",
    "delay",
    "dsn",
    "status",
    "response",
    "size",
    "nrcpt",
    "message_id",
    "stage",
    "smtp_code",
    "reject_reason",
    "ref",
    "rule",
    "mode",
    "verdict",
    "count",
    "uid",
    "orig_queue_id",
    "orig_client_ip",
)

INTEGERS = frozenset({"line", "pid", "client_port", "relay_port", "size", "nrcpt", "smtp_code", "uid", "count"})
NUMBERS = frozenset({"delay"})

# What attribution adds: the keys that an event counts for, and whether it counts at all (a retry of a deferred
# message, one of which only a part came, a login that failed for want of the server that checks it, or the MTA's echo
# of our own verdict, does not).
# Beside these `clock`, and `opens`: that the event also tells of a connection that has no line of its own.
KEY_COLUMNS = ("account", "client", "local")
ATTRIBUTED = (*KEY_COLUMNS, "counts")

ACTIONS = ("cap", "throttle", "tempfail", "hold", "block")  # mild to severe; the table's, which a test compares
KINDS = ("account", "client", "net", "local", "site")

# Signals, and what one unit of each is. `logwatch.measuring.signals` says which events count.
SIGNALS = {
    "messages": "messages accepted into the queue",
    "recipients": "their recipients",
    "bytes": "their size",
    "cost": "recipients, each at the price of the country that its message came from",
    "connections": "SMTP connections",
    "attempts": "messages accepted, and those that our milter refused",
    "new_recipients": "recipients to whom the account had not written for half a year",
    "fresh_recipients": "deliveries to recipients to whom the account had not written before that day",
    "new_networks": "attempts from a network that the account first used less than a day ago",
    "odd_countries": "attempts from a country that the account used on fewer than three days",
    "far_recipients": "recipients of messages from a neighbourhood of networks that is new to the account and others",
    "away_recipients": "recipients of messages from a neighbourhood that the account first used less than a day ago",
    "far_strangers": "recipients of such messages to whom the account had not written for half a year",
    "odd_senders": "messages with an envelope sender that the account hardly ever uses",
    "unknown_recipients": "recipients refused or bounced as unknown (5.1.1)",
    "bounces": "recipients that bounced",
    "policy_rejections": "recipients that a remote site refused by policy (5.7.x)",
    "deferrals": "deliveries put off",
    "auth_failures": "failed logins",
    "clients": "different client addresses of attempts",
    "networks": "different networks of attempts (IPv4 /24, IPv6 /64)",
    "neighbourhoods": "different neighbourhoods of networks of attempts (IPv4 /16, IPv6 /32)",
    "countries": "different countries of attempts",
    "senders": "different envelope senders of messages",
    "accounts": "different logins of attempts",
    "guessed": "different logins that failed",
    "guessers": "different neighbourhoods of networks from which logins failed (IPv4 /16, IPv6 /32)",
    "guesser_countries": "different countries from which logins failed",
    "misaddressed": "different messages of which a recipient was refused or bounced as unknown (5.1.1)",
}
# Each value counts once in a window.
DISTINCT = (
    "clients",
    "networks",
    "neighbourhoods",
    "countries",
    "senders",
    "accounts",
    "guessed",
    "guessers",
    "guesser_countries",
    "misaddressed",
)
ADDITIVE = tuple(signal for signal in SIGNALS if signal not in DISTINCT)

USUAL = "usual "  # in front of a signal: what is usual for the key
DEFAULT_CAP = "default-cap"  # what the cap for everybody is called where rules are
AT_ONCE = "recipients at once"  # of the event's message; what is usual of it is the largest of any day; window 0
PACE = "pace"  # attempts of late, those of FADE seconds ago counting 1/e: what steers a throttle; its window is 0
FADE = 600.0

# What a rule may look at beside rates; their window is 0.
MOMENTS = {
    "hour": "hour of the day of the event, 0 to 23, in the log's zone",
    "weekday": "day of the week of the event, 1 (Monday) to 7",
    "age": "days since the account's first message that is remembered (of other keys: 0)",
    "reputation": "the highest score of the event's client address on the policy's lists, else 0",
}

RateColumn = tuple[str, int]  # (signal, window in seconds)

# Rates of many events or keys: equally long columns. Plain arrays, for the reason given at Columns.
RateTable = Mapping[RateColumn, NDArray[Any]]


class Span(NamedTuple):
    """Event times from `begin` up to but without `end`, epoch seconds."""

    begin: float = float("-inf")
    end: float = float("inf")

    def holds(self, time: float) -> bool:
        """Whether a time lies within."""
        return self.begin <= time < self.end


ALWAYS = Span()


class Listing(NamedTuple):
    """A DNS block list's answer about a client's key: `codes` (127.0.0.2) count for events after `time`, to `until`."""

    time: float
    until: float
    client: str
    zone: str
    codes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Floor:
    """What a key had done by the time (epoch seconds) of a release: running totals in the order of ADDITIVE."""

    time: float
    totals: list[int]


@dataclasses.dataclass(frozen=True)
class History:
    """Rates as of each event that counts for a kind of key.

    `rows` are positions in the chunk's events, `keys` whom each counts for; `values` has one column per
    (signal, window), with a number for each of them. An event that counts for two keys (the two networks of an IPv6
    client) has two rows. `above` gives the values of some rows, a floor for each, that count only what came after it.
    """

    rows: NDArray[np.int64]
    keys: NDArray[Any]
    values: RateTable
    above: Callable[[Sequence[int], Sequence[Floor]], RateTable]


@dataclasses.dataclass(frozen=True)
class Decision:
    """One change of what is to happen to a key: begun, extended, or released early.

    `time` and `until` are epoch seconds in event time; `seq` counts decisions from 1; `evidence` maps what was
    compared (`recipients in 10m`) to its value and threshold at the event that tipped it.
    """

    time: float
    key: str
    action: str
    mode: str
    until: float
    rule: str
    ref: str
    seq: int
    queue_id: str | None = None
    share: float | None = None
    max_recipients: int | None = None
    evidence: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """A JSON object as `replay --json` and the journal have it: stamps in ISO 8601, local offset."""
        return {**dataclasses.asdict(self), "time": iso(self.time), "until": iso(self.until)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Decision:
        """The decision that `as_json` wrote."""
        stamps = {name: datetime.fromisoformat(fields[name]).timestamp() for name in ("time", "until")}
        return cls(**{**fields, **stamps})


class ReaderFacts(TypedDict):
    """What a reader of a log remembers that has no key, as JSON values. Older versions did not write what may lack."""

    clock: float  # the site's clock (`reading.clocks`), epoch seconds
    stamp: float  # the last line's own stamp, epoch seconds
    course: NotRequired[tuple[float, int, int]]  # how years are found (`reading.stamp.Course`)
    lines: int  # read so far
    unreadable: Mapping[str, int]  # lines of a known kind that could not be read, by event
    other: NotRequired[int]  # lines of a known program that tell nothing of mail
    orphans: int  # deliveries whose acceptance was never seen
    clock_steps: int  # times that the site's clock was set back
    clocks_off: NotRequired[int]  # times that a host's clock was found to be off
    clocks: NotRequired[Mapping[str, Any]]  # `reading.clocks.Clocks.state`
    off: NotRequired[Mapping[str, float]]  # by how many seconds hosts are off


class PendingReviewFacts(TypedDict):
    """What operators said that the log's clock has not passed yet: each a list of key, event time and more."""

    releases: Sequence[Sequence[Any]]
    confirmations: NotRequired[Sequence[Sequence[Any]]]


class Facts(ReaderFacts, PendingReviewFacts):
    """What the core remembers that has no key, as JSON values: the journal keeps it, commands tell from it."""

    layouts: NotRequired[Mapping[str, str]]  # of memories, by name
    seq: int  # of the last decision
    events: Mapping[str, int]  # how many of each kind
    messages: NotRequired[int]  # accepted, each once
    silences: list[float]  # `reading.loss.Silences.state`: how many, and where it counts
    guarded: int  # decisions that the guard turned into observe
    places: NotRequired[Mapping[str, int]]  # of the guard: how many are `taken`, and `of` how many
    answers: NotRequired[Sequence[Sequence[Any]]]  # of DNS block lists (`Listing`), not yet reached by the log's clock


def side(compared: Mapping[str, float]) -> str:
    """How a value and its threshold are told: what is `below`, as `<` asks, has passed no `limit`."""
    return "below" if compared["value"] < compared["threshold"] else "limit"


def iso(stamp: float, zone: Any = None) -> str:
    """ISO 8601 with offset, in `zone` (a tzinfo; default the machine's), with fractions only where there are any."""
    moment = datetime.fromtimestamp(stamp).astimezone() if zone is None else datetime.fromtimestamp(stamp, zone)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def empty(names: tuple[str, ...]) -> Columns:
    """A table without rows."""
    return {name: np.empty(0, dtype=object) for name in names}
