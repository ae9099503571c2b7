"""The milter: asks the table about each client and each login, and answers the MTA. All of pymilter is in here.

Callbacks: connect (the client's address and networks) and MAIL (the login); nothing else is asked of the MTA.
* Whoever is not listed gets CONTINUE at connect, since ACCEPT would end the milter's part in the whole connection, and
  ACCEPT at MAIL, after which the MTA leaves the milter alone until the next MAIL. Each MAIL is judged anew.
* Without AUTH there is no login, and MAIL is accepted: the client was judged at connect.
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
from pathlib import Path
from typing import Any, Protocol

import milter

from enforce import key
from enforce.table import Answer, NotListed, Unusable
from enforce.verdict import decide, line, printable

_UNWANTED = (
    milter.P_NOHELO
    | milter.P_NORCPT
    | milter.P_NODATA
    | milter.P_NOHDRS
    | milter.P_NOEOH
    | milter.P_NOBODY
    | milter.P_NOUNKNOWN
)
_RESULTS = {"4": milter.TEMPFAIL, "5": milter.REJECT}  # libmilter sends a reply only with the result of its class
_MOST_KINDS = 256  # reasons remembered
PASS = {"CONNECT": int(milter.CONTINUE), "MAIL": int(milter.ACCEPT)}


class Context(Protocol):
    """What is used of pymilter's connection object."""

    def getsymval(self, name: str) -> str | None:
        """The value of a macro."""

    def setreply(self, code: str, status: str, text: str) -> None:
        """The reply that goes with TEMPFAIL or REJECT."""

    def setpriv(self, value: object) -> object:
        """Keep a value with the connection."""

    def getpriv(self) -> Any:
        """The value kept."""


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
    if "+" not in macro or (version and not version[0].isdigit()):
        return macro
    decoded = re.sub(rb"\+([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), macro.encode())
    return decoded.decode(errors="surrogateescape")


class Brake:
    """The callbacks: `look_up` asks the table, `account` makes a login's key, `tell` gets the verdict lines."""

    def __init__(
        self,
        look_up: Callable[[Sequence[str], float], Answer],
        account: Callable[[str], str | None],
        clock: Callable[[], float],
        tell: Callable[[str], None],
        doubts: Doubts,
    ) -> None:
        self._look_up = look_up
        self._account = account
        self._clock = clock
        self._tell = tell
        self._doubts = doubts

    def negotiate(self, _context: Context, options: list[int]) -> int:
        """Have everything left out but connect and MAIL, as far as the MTA can."""
        options[:] = [0, options[1] & _UNWANTED, 0, 0]
        return int(milter.CONTINUE)

    def connect(self, context: Context, _name: str, _family: int, address: object) -> int:
        """Judge the client."""
        client = key.client(str(address[0])) if isinstance(address, tuple) else None
        if client is None:
            return int(milter.CONTINUE)
        client_ip = client.partition(":")[2]
        context.setpriv(client_ip)
        return self._judge(context, (client, *key.networks(client_ip)), "CONNECT", client_ip, None)

    def mail(self, context: Context, *_arguments: bytes) -> int:
        """Judge the login."""
        macro = context.getsymval("{auth_authen}")
        login = login_of(macro, context.getsymval("v")) if macro else ""
        account = self._account(login)
        if account is None:
            return int(milter.ACCEPT)
        return self._judge(context, (account,), "MAIL", context.getpriv() or "unknown", login)

    def _judge(self, context: Context, keys: Sequence[str], stage: str, client_ip: str, login: str | None) -> int:
        answer = self._look_up(keys, self._clock())
        if isinstance(answer, NotListed):
            return PASS[stage]
        if isinstance(answer, Unusable):
            raise InDoubtError(answer.reason)
        verdict = decide(answer)
        result = PASS[stage]
        if verdict.reply:
            code, status, text = verdict.reply
            context.setreply(code, status, text.replace("%", "%%"))  # both MTAs turn %% into %, as of a format
            result = _RESULTS[code[0]]
        for note in verdict.notes:
            self._tell(line(note, stage, client_ip, login))
        for note in () if verdict.reply else verdict.unenforced:
            self._doubts.add(f"{note.action} is not enforced by this version (rule {note.rule})")
        return result


def listen(brake: Brake, doubts: Doubts, socket: str) -> None:
    """Register the callbacks and open `socket`, in libmilter's notation: MTAs can connect when this returns.

    OSError if libmilter cannot, which keeps the reason for syslog.
    """
    milter.set_flags(0)
    milter.set_exception_policy(milter.CONTINUE)
    milter.set_connect_callback(fail_open(brake.connect, PASS["CONNECT"], doubts))
    milter.set_envfrom_callback(fail_open(brake.mail, PASS["MAIL"], doubts))
    milter.setconn(socket)
    milter.setbacklog(512)
    milter.register("mailbrake", negotiate=fail_open(brake.negotiate, milter.CONTINUE, doubts))
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
