"""The milter: asks the table about each client and each login, and answers the MTA. All of pymilter is in here.

Callbacks: connect (the client's address and networks) and MAIL (the login); for the few messages of whom a cap or a
hold is on, also RCPT and the end of the message.
* Whoever is not listed gets CONTINUE at connect, since ACCEPT would end the milter's part in the whole connection, and
  ACCEPT at MAIL, after which the MTA leaves the milter alone until the next MAIL. Each MAIL is judged anew.
* Where only clients are judged, nothing comes after connect, and there it is ACCEPT. Only a client that is capped or
  held, and whoever is so by login, gets CONTINUE up to the end of the message.
* RCPT is negotiated only where the table has had a cap. So the first cap of a table takes effect with the connections
  that begin after it; in one that is open, mail flows and it is told. Any other change, of a cap too, takes effect at
  the next MAIL. To quarantine is always negotiated: it costs nothing, and the session that made an account be held is
  likely to be still open.
* What is decided on a client at connect (a cap, a hold) holds for the connection.
* Without AUTH there is no login, and MAIL is accepted: the client was judged at connect. Exempt clients are not
  judged there, but their logins are: webmail on the MTA's own host authenticates from loopback too.
* The login is `{auth_authen}`, never `{auth_author}`, which the client makes up. Sendmail encodes it as xtext
  (RFC 3461: `user+2Btag`), Postfix does not, and there `+2B` may well be part of a login. They are told apart by `v`:
  Postfix sends "NAME VERSION" (NAME is its `mail_name`), Sendmail its version alone, or nothing.
* No list of macros is negotiated: Postfix's default lists have both, Sendmail's the one needed there. A site that sets
  `milter_connect_macros` or `milter_mail_macros` keeps `v` and `{auth_authen}` in them.

**Mail flows when in doubt.** `fail_open` is the one place where a callback's exception ends, and an unusable table is
such an exception: counted, told once a minute for each kind, answered as if nobody were listed.

Before Python is called, pymilter decodes the client's host name; one that is not UTF-8 ends there, in its exception
policy, and is not counted. The policy is CONTINUE, so that MAIL is still judged. ACCEPT would be worse than that: at
negotiation pymilter turns it into REJECT, libmilter hangs up, and the MTA takes its default action (often a 451).

pymilter's C module is used without its Python layer (`Milter`), whose objects, decorators and second dispatch cost as
much as the look-up.
"""

from __future__ import annotations

import re
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import milter

from enforce import key
from enforce.printable import printable
from enforce.table import NOT_LISTED, Answer, State, Unusable
from enforce.verdict import ACCEPT, Attempt, Cap, LoggedVerdict, Note, Reply, Verdict, Wording, capped, decide

_UNWANTED = (
    milter.P_NOHELO
    | milter.P_NORCPT
    | milter.P_NODATA
    | milter.P_NOHDRS
    | milter.P_NOEOH
    | milter.P_NOBODY
    | milter.P_NOUNKNOWN
)
_RESULTS = {"4": int(milter.TEMPFAIL), "5": int(milter.REJECT)}  # libmilter sends a reply only with that of its class
_MOST_KINDS = 256  # reasons remembered
PASS = {
    "NEGOTIATE": int(milter.CONTINUE),
    "CONNECT": int(milter.CONTINUE),
    "MAIL": int(milter.ACCEPT),
    "RCPT": int(milter.CONTINUE),
    "EOM": int(milter.ACCEPT),
}


class Table(Protocol):
    """What is used of enforce.table.Reader."""

    def look_up(self, keys: Sequence[str], now: float) -> Answer:
        """The records of these keys that count now."""

    def capped(self) -> bool:
        """Whether recipients may have to be counted."""

    def state(self, now: float) -> State:
        """Health of the table."""


class Context(Protocol):
    """What is used of pymilter's connection object."""

    def getsymval(self, name: str) -> str | None:
        """The value of a macro."""

    def setreply(self, code: str, status: str, *lines: str) -> None:
        """The reply that goes with TEMPFAIL or REJECT."""

    def quarantine(self, reason: str) -> None:
        """Have the MTA hold the message."""

    def setpriv(self, value: object) -> object:
        """Keep a value with the connection."""

    def getpriv(self) -> Any:
        """The value kept."""


class Rules(NamedTuple):
    """What the configuration says of judging: may be replaced, as a whole, while sessions are open."""

    table: Table
    account: Callable[[str], str | None]  # a login's key
    accounts: bool = True  # logins are judged
    clients: bool = True  # clients are
    exempt: Callable[[str], bool] = lambda _: False  # an address
    wording: Wording = Wording()


@dataclass
class Connection:
    """One SMTP session, and the message in it."""

    told_recipients: bool = False
    client_ip: str = "unknown"
    identity: str = ""
    number: int = 0  # of the message
    standing: Verdict = ACCEPT  # on the client: its cap, its hold
    message: Verdict = ACCEPT  # on the client or the login
    login: str | None = None
    recipients: int = 0


class InDoubtError(Exception):
    """No answer was found, so mail must flow."""


class Doubts:
    """Counts why mail was let through, and tells each kind of reason once a period."""

    def __init__(self, tell: Callable[[str], None], monotonic: Callable[[], float], period: float = 60.0) -> None:
        self.total = 0
        self._tell = tell
        self._monotonic = monotonic
        self._period = period
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}  # kind → told again when, untold since

    def add(self, kind: str, detail: str = "") -> None:
        """Count a doubt, and tell it unless one of its kind was told within the period."""
        with self._lock:
            self.total += 1
            times = self._times(kind)
        if times:
            self._tell(f"mail let through: {kind}{detail}" + (f" ({times} times)" if times > 1 else ""))

    def _times(self, kind: str) -> int:
        """How many of this kind are to be told of now."""
        now = self._monotonic()
        due, untold = self._kinds.pop(kind, (now, 0))
        told = now >= due
        self._kinds[kind] = (now + self._period, 0) if told else (due, untold + 1)
        if len(self._kinds) > _MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]  # the one that came up longest ago
        return untold + 1 if told else 0


def fail_open(callback: Callable[..., int], otherwise: int, doubts: Doubts) -> Callable[..., int]:
    """`callback`, but whatever goes wrong in it is counted, told, and answered with `otherwise`: mail passes."""

    def guarded(*arguments: Any) -> int:
        try:
            return callback(*arguments)
        except InDoubtError as doubt:
            doubts.add(str(doubt))
        except Exception as error:  # noqa: BLE001  the one place: a bug must cost a verdict, never a message
            doubts.add(f"{type(error).__name__} at {_place(error)}", f": {printable(str(error)[:200])}")
        return otherwise

    return guarded


def _place(error: Exception) -> str:
    *_, (frame, number) = traceback.walk_tb(error.__traceback__)
    return f"{Path(frame.f_code.co_filename).name}:{number}"


def login_of(macro: str, version: str | None) -> str:
    """The login that `{auth_authen}` stands for, given the macro `v`; bytes that are no UTF-8 as PEP 383 escapes."""
    if version and not version[0].isdigit():
        return macro
    decoded = re.sub(
        rb"\+([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), macro.encode(errors="surrogateescape")
    )
    return decoded.decode(errors="surrogateescape")


class Brake:
    """The callbacks. `rules` may be replaced at any time; `said` gets the verdicts that are to be logged."""

    def __init__(
        self, rules: Rules, clock: Callable[[], float], said: Callable[[LoggedVerdict], None], doubts: Doubts
    ) -> None:
        self.rules = rules
        self._clock = clock
        self._said = said
        self._doubts = doubts

    def negotiate(self, context: Context, options: list[int]) -> int:
        """Have everything left out but connect and MAIL, and RCPT where there are caps, as far as the MTA can."""
        offered = options[1]
        # first: left as offered, they would promise the MTA that no command is answered
        options[:] = [options[0] & milter.QUARANTINE, offered & _UNWANTED, 0, 0]
        recipients = self.rules.table.capped()
        context.setpriv(Connection(recipients))
        if recipients:
            options[1] &= ~milter.P_NORCPT
        return PASS["NEGOTIATE"]

    def connect(self, context: Context, _name: str, _family: int, address: object) -> int:
        """Judge the client."""
        here = _connection(context)
        client = key.client(str(address[0])) if isinstance(address, tuple) else None
        rules = self.rules
        if client is not None and isinstance(address, tuple):
            here.client_ip = client.partition(":")[2]
            here.identity = f"{here.client_ip} {address[1]} {self._clock()}"
            if rules.clients and not rules.exempt(here.client_ip):
                verdict = self._judge((client, *key.networks(here.client_ip)), here)
                if verdict is not ACCEPT:
                    here.standing = Verdict(caps=verdict.caps, hold=verdict.hold)
                    self._tell(verdict.notes, verdict.unenforced, "CONNECT", here)
                    if verdict.reply:
                        return _refuse(context, verdict.reply)
        only_clients = not rules.accounts and not (here.standing.caps or here.standing.hold)
        return int(milter.ACCEPT) if only_clients else PASS["CONNECT"]

    def mail(self, context: Context, *_arguments: bytes) -> int:
        """Judge the login."""
        here = _connection(context)
        here.number += 1
        here.recipients = 0
        here.message = here.standing
        here.login = None
        account = self._account(context, here) if self.rules.accounts else None
        if account is not None:
            verdict = self._judge((account, key.EVERYBODY), here, here.number)
            if verdict is not ACCEPT:
                self._tell(verdict.notes, verdict.unenforced, "MAIL", here)
                if verdict.reply:
                    return _refuse(context, verdict.reply)
                here.message = _both(here.standing, verdict)
        if here.message is ACCEPT:  # nearly always
            return PASS["MAIL"]
        if here.message.caps and not here.told_recipients:
            if any(cap.reply for cap in here.message.caps):
                self._doubts.add("a cap that is younger than the connection")
            here.message = here.message._replace(caps=())
        return int(milter.CONTINUE) if here.message.caps or here.message.hold else PASS["MAIL"]

    def recipient(self, context: Context, *_arguments: bytes) -> int:
        """Count a recipient, and refuse it where it is one too many."""
        here = _connection(context)
        here.recipients += 1
        over = capped(here.message.caps, here.recipients)
        self._tell([cap.note for cap in over], (), "RCPT", here)
        replies = [cap.reply for cap in over if cap.reply]
        return _refuse(context, replies[0]) if replies else PASS["RCPT"]

    def end(self, context: Context) -> int:
        """Have a message held."""
        here = _connection(context)
        if hold := here.message.hold:
            context.quarantine(f"mailbrake (case {hold.ref})")
            self._tell([hold], (), "EOM", here)
        return PASS["EOM"]

    def _account(self, context: Context, here: Connection) -> str | None:
        try:
            macro = context.getsymval("{auth_authen}")
        except UnicodeDecodeError as error:  # by pymilter, to which all is UTF-8; such a login is judged, too
            macro = error.object.decode(errors="surrogateescape")
        if not macro:
            return None
        here.login = login_of(macro, context.getsymval("v")) if "+" in macro else macro
        return self.rules.account(here.login)

    def _judge(self, keys: Sequence[str], here: Connection, number: int = 0) -> Verdict:
        """The verdict on a message by its number, or on the connection itself; ACCEPT if nobody is listed."""
        answer = self.rules.table.look_up(keys, self._clock())
        if answer is NOT_LISTED:
            return ACCEPT
        if isinstance(answer, Unusable):
            raise InDoubtError(answer.reason)
        return decide(answer, Attempt(keys[0], here.identity, number), self.rules.wording)

    def _tell(self, notes: Sequence[Note], unenforced: Sequence[Note], stage: str, here: Connection) -> None:
        for note in notes:
            self._said(LoggedVerdict(note, stage, here.client_ip, here.login))
        for note in unenforced:
            self._doubts.add(f"{note.action} without what it needs (rule {note.rule})")


def _connection(context: Context) -> Connection:
    here: Connection | None = context.getpriv()
    if here is None:  # an MTA that does not negotiate
        here = Connection(told_recipients=True)
        context.setpriv(here)
    return here


def _both(standing: Verdict, verdict: Verdict) -> Verdict:
    """What holds for a message by its client and by its login: the smaller cap of each mode, either's hold."""
    caps: dict[str, Cap] = {}
    for cap in (*standing.caps, *verdict.caps):
        caps[cap.note.mode] = min(caps.get(cap.note.mode, cap), cap, key=lambda cap: cap.most)
    return Verdict(caps=tuple(caps.values()), hold=verdict.hold or standing.hold)


def _refuse(context: Context, reply: Reply) -> int:
    code, status, text = reply
    context.setreply(code, status, *text.replace("%", "%%").split("\n"))  # both MTAs turn %% into %, as of a format
    return _RESULTS[code[0]]


def callbacks(brake: Brake, doubts: Doubts) -> dict[str, Callable[..., int]]:
    """What libmilter calls, by stage: whatever goes wrong in it, mail passes."""
    acts: dict[str, Callable[..., int]] = {
        "NEGOTIATE": brake.negotiate,
        "CONNECT": brake.connect,
        "MAIL": brake.mail,
        "RCPT": brake.recipient,
        "EOM": brake.end,
    }
    return {stage: fail_open(act, PASS[stage], doubts) for stage, act in acts.items()}


def listen(brake: Brake, doubts: Doubts, socket: str) -> None:
    """Register the callbacks and open `socket`, in libmilter's notation: MTAs can connect when this returns.

    OSError if libmilter cannot, which keeps the reason for syslog.
    """
    milter.set_flags(milter.QUARANTINE)
    milter.set_exception_policy(milter.CONTINUE)
    called = callbacks(brake, doubts)
    milter.set_connect_callback(called["CONNECT"])
    milter.set_envfrom_callback(called["MAIL"])
    milter.set_envrcpt_callback(called["RCPT"])
    milter.set_eom_callback(called["EOM"])
    milter.setconn(socket)
    milter.setbacklog(512)
    milter.register("mailbrake", negotiate=called["NEGOTIATE"])
    try:
        milter.opensocket(False)
    except milter.error as error:
        raise OSError(f"libmilter says: {error}; syslog has more") from None


def serve() -> None:
    """Answer MTAs until libmilter ends; OSError if it had to give up."""
    try:
        milter.main()
    except milter.error as error:
        raise OSError(f"libmilter gave up: {error}; syslog has more") from None
