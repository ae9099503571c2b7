"""Asks DNS block lists about clients, in threads of its own: neither the mail nor the reading of the log waits for it.

Whoever is new is asked about once; an answer, also a negative one, is kept for its time to live (bounded to `SHORTEST`
and `LONGEST`). Questions are limited in number a second, and dropped when too many wait. A list that does not answer,
or says that it does not answer us (127.255.255.x, as Spamhaus does to public resolvers), lists nobody: it is left alone
for a while, and that is said.
"""

from __future__ import annotations

import ipaddress
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import ConfigError, Reputation
from logwatch.judging.dnsbl import is_listing, is_refusal

if TYPE_CHECKING:
    import dns.resolver

SHORTEST, LONGEST = 300.0, 86400.0  # seconds that an answer is kept
_FAILED = 60.0  # seconds before it is asked again
_REFUSED = 600.0  # seconds for which a list that refuses is left alone
_KNOWN = 500_000  # answers kept
_WAITING = 10_000  # questions, and answers, that may wait
_THREADS = 4

Question = tuple[str, str]  # a client's key, a zone


class Answer(NamedTuple):
    """What a list says of a client's key: the codes by which it lists it (none: it does not), for how many seconds."""

    client: str
    zone: str
    codes: tuple[str, ...]
    ttl: float


class Asker:
    """Asks about clients whom it is told of; `monotonic` is seconds of a clock that is never set."""

    def __init__(
        self,
        zones: Sequence[str],
        options: Reputation,
        monotonic: Callable[[], float],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """ConfigError if it cannot be done. `wake` is called, in another thread, when there is an answer."""
        self._zones = tuple(zones)
        self._resolver = _resolver(options)
        self._every = 1.0 / options.per_second
        self._monotonic = monotonic
        self.wake = wake
        self._known: OrderedDict[Question, float] = OrderedDict()  # until when it need not be asked again
        self._left_alone: dict[str, float] = {}
        self._questions: queue.Queue[Question | None] = queue.Queue(_WAITING)
        self._answers: queue.SimpleQueue[Answer | Question] = queue.SimpleQueue()
        self._problems: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._next = 0.0
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
        for thread in self._threads:
            thread.start()

    def ask(self, clients: Iterable[str]) -> None:
        """Ask about those of these clients' keys that are not known; returns at once."""
        now = self._monotonic()
        for client in clients:
            for zone in self._zones if _is_public(client) else ():
                question = (client, zone)
                if self._known.get(question, 0.0) > now or self._left_alone.get(zone, 0.0) > now:
                    continue
                try:
                    self._questions.put_nowait(question)
                except queue.Full:
                    return
                self._keep(question, now + SHORTEST)

    def answers(self) -> list[Answer]:
        """Those that list somebody, and have come since the last call."""
        now, found = self._monotonic(), []
        for _ in range(self._answers.qsize()):
            answer = self._answers.get()
            if not isinstance(answer, Answer):
                self._keep(answer, now + _FAILED)
                continue
            self._keep(answer[:2], now + answer.ttl)
            if answer.codes:
                found.append(answer)
        return found

    def problems(self) -> list[str]:
        """What went wrong since the last call."""
        return [self._problems.get() for _ in range(self._problems.qsize())]

    def close(self) -> None:
        """End the threads; questions that wait are forgotten."""
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _keep(self, question: Question, until: float) -> None:
        self._known.pop(question, None)
        self._known[question] = until
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                question = self._questions.get(timeout=0.2)
            except queue.Empty:
                continue
            if question and self._waited():
                self._answers.put(self._asked(question))
                self.wake()

    def _waited(self) -> bool:
        """Wait for one's turn, so that no more than so many are asked a second."""
        with self._turn:
            now = self._monotonic()
            self._next = max(now, self._next) + self._every
            pause = self._next - now - self._every
        return not self._ended.wait(pause)

    def _asked(self, question: Question) -> Answer | Question:
        import dns.exception
        import dns.resolver

        client, zone = question
        if self._left_alone.get(zone, 0.0) > self._monotonic():
            return question
        codes: tuple[str, ...] = ()
        try:
            found = self._resolver.resolve(name_of(client, zone), "A", raise_on_no_answer=False, search=False)
            codes = tuple(sorted(str(record) for record in found.rrset or ()))
            ttl = float(found.rrset.ttl if found.rrset else SHORTEST)
        except dns.resolver.NXDOMAIN as error:
            ttl = _negative(error)
        except dns.exception.DNSException as error:
            self._leave(zone, _FAILED, f"it does not answer: {type(error).__name__}")
            return question
        refusals = [code for code in codes if is_refusal(code)]
        if refusals:
            self._leave(
                zone, _REFUSED, f"it refuses to answer us ({refusals[0]}): public resolver, or too many queries?"
            )
            return question
        listing = tuple(code for code in codes if is_listing(code))
        return Answer(client, zone, listing, min(max(ttl, SHORTEST), LONGEST))

    def _leave(self, zone: str, seconds: float, problem: str) -> None:
        self._left_alone[zone] = self._monotonic() + seconds
        self._problems.put(f"DNS block list {zone}: {problem}; until it does, it lists nobody")


def name_of(client: str, zone: str) -> str:
    """The name to ask for (RFC 5782): octets of IPv4, nibbles of IPv6, last one first."""
    pointer = ipaddress.ip_address(client.removeprefix("client:")).reverse_pointer
    return f"{pointer.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}."


def _is_public(client: str) -> bool:
    try:
        return ipaddress.ip_address(client.removeprefix("client:")).is_global
    except ValueError:
        return False


def _negative(error: Any) -> float:
    """How long it may be remembered that a name does not exist (RFC 2308)."""
    authority = [rrset for response in error.responses().values() for rrset in response.authority]
    return float(
        min((min(rrset.ttl, getattr(rrset[0], "minimum", rrset.ttl)) for rrset in authority), default=SHORTEST)
    )


def _resolver(options: Reputation) -> dns.resolver.Resolver:
    try:
        import dns.resolver
    except ImportError:
        raise ConfigError("policy", "dnsbl", "needs one more package: pip install 'mailbrake[dnsbl]'") from None
    try:
        resolver = dns.resolver.Resolver(configure=not options.nameservers)
    except dns.resolver.NoResolverConfiguration:
        raise ConfigError("[reputation]", "nameservers", "name one: /etc/resolv.conf has none") from None
    if options.nameservers:
        servers = [server.rpartition(":") for server in options.nameservers]
        resolver.nameservers = [dns.nameserver.Do53Nameserver(host.strip("[]"), int(port)) for host, _, port in servers]
    resolver.lifetime = resolver.timeout = float(options.timeout)
    resolver.cache = None
    return resolver
