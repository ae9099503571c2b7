"""All that is known of one case: decisions, what came of it, where it came from, what was said, what to do next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from enforce.config import Config
from enforce.printable import printable
from logwatch.commands.common import same_config
from logwatch.commands.output import clock
from logwatch.schema import Decision, iso
from logwatch.settings import country_of, zone_of
from logwatch.telling import orders
from logwatch.telling.verdicts import FALSE_ALARMS, found_out, is_about

if TYPE_CHECKING:
    from logwatch.telling.journal import Effect, Journal, Review
    from logwatch.telling.published import Change


class Address(NamedTuple):
    """A client address in the log lines of a case: its country by registry, if it has one, and in how many lines."""

    client: str
    country: str | None
    lines: int


@dataclass(frozen=True)
class CaseFile:
    """One case; decisions and reviews oldest first, `lines` those that began it."""

    decisions: list[Decision]
    effect: Effect
    reviews: list[Review]
    lines: list[str]
    addresses: list[Address]
    guarded: bool  # whether the guard holds it back, or did until it was over
    now: float
    published: list[Change]  # what it changed in the table, in order; of logs nothing, as there is no table
    behind: str = ""  # the case of the same key that stood in the table in its place, being more severe
    logs: str = ""  # that were asked instead of a controller, as words of a shell
    configured: str = ""  # behind a command, to use the same configuration

    @property
    def live(self) -> bool:
        """Whether there is a controller, to which verdicts can be given."""
        return not self.logs

    @property
    def begun(self) -> Decision:
        """The decision that began it."""
        return self.decisions[0]

    @property
    def last(self) -> Decision:
        """The latest decision of it."""
        return self.decisions[-1]

    @property
    def verdict(self) -> str:
        """What was found out about it; "" if nobody has looked at it."""
        return found_out(self.reviews, self.begun)

    @property
    def taken_back(self) -> bool:
        """Whether it was released or exempted, whatever it was."""
        return any(review.verdict in FALSE_ALARMS and is_about(review, self.begun) for review in self.reviews)

    @property
    def state(self) -> str:
        """standing, replaced (by a later order), released, over."""
        if self._replaced:
            return "replaced"
        if self.last.action == "release" or self.taken_back:
            return "released"
        return "standing" if self.last.until > self.now else "over"

    @property
    def _replaced(self) -> bool:
        """Whether it is an order whose place a later one took, before it ended or was taken back."""
        for review in self.reviews:
            if review.id <= orders.review_of(self.begun):
                continue
            order = orders.decision_of(review)
            if review.verdict in FALSE_ALARMS or (order and order.rule == self.begun.rule):
                return order is not None and order.time < self.last.until
        return False

    def next(self) -> list[tuple[str, str]]:
        """What to do: a sentence, and the command for it as a shell takes it ("" where it needs none)."""
        return [(what, command and f"{command}{self.configured}") for what, command in self._next()]

    def _next(self) -> list[tuple[str, str]]:
        if self.begun.rule in orders.BY_HAND:
            return (
                []
                if self.state != "standing"
                else [("let it send again", f"mailbrake table release {shlex.quote(self.begun.key)}")]
            )
        return [*(self._verdicts() if self.live else ()), *self._clean_up()]

    def _verdicts(self) -> list[tuple[str, str]]:
        account = self.begun.key.startswith("account:")
        ref, key = self.begun.ref, shlex.quote(self.begun.key)
        if self.verdict in FALSE_ALARMS:
            return [(f"nothing: it was {self.verdict}", "")]
        ask = "ask the owner whether this mail is his; if it is not" if account else "if it is an attack"
        again = "let it send again" if account else "let it in again"
        release = (f"if it was a false alarm, {again}", f'mailbrake review release {ref} --note "…"')
        exempt = (
            "if it will go on like this, as a newsletter does" if account else "if it shall never be looked at again",
            f'mailbrake review exempt {key} --for 30d --note "…"',
        )
        if self.verdict == "confirmed":
            when = "when the password has been changed" if account else "when it is over"
            return [(f"{when}, {again}", release[1])] if self.state == "standing" else []
        if self.guarded and self.state == "standing":
            ask += ": it is enforced at once, the guard lets it in"
        return [(ask, f'mailbrake review confirm {ref} --note "…"'), release, exempt]

    def _clean_up(self) -> list[tuple[str, str]]:
        if not self.begun.key.startswith("account:") or self.verdict in FALSE_ALARMS:
            return []
        since = iso(self.begun.time // 60 * 60 - 86400)
        logs = f" {self.logs}" if self.logs else ""
        command = f"mailbrake cleanup {shlex.quote(self.begun.key)}{logs} --since {since}"
        return [("mail still queued, recipients reached, other logins from there", command)]

    def as_json(self) -> dict[str, Any]:
        """What belongs to a decision of it, beside the decision itself."""
        return {
            "state": self.state,
            "guarded": self.guarded,
            "messages": self.effect.messages,
            "recipients": self.effect.recipients,
            "refused": self.effect.refused,
            "addresses": [address._asdict() for address in self.addresses],
            "reviews": [
                {
                    "time": iso(review.time),
                    "verdict": review.verdict,
                    "by": review.by,
                    "note": review.note,
                    "until": iso(review.until) if review.until else None,
                }
                for review in self.reviews
            ],
            "published": [
                {**change._asdict(), "time": iso(change.time), "until": iso(change.until)} for change in self.published
            ],
            "next": [{"what": what, "command": command} for what, command in self.next()],
        }


def files(journal: Journal, decisions: Iterable[Decision], config: Config, now: float, logs: str) -> list[CaseFile]:
    """The cases that decisions (newest first) belong to, the newest case first; `logs` as in a case."""
    from logwatch.telling.journal import Effect

    cases: dict[tuple[str, str, str], list[Decision]] = {}
    for decision in decisions:
        cases.setdefault((decision.ref, decision.key, decision.rule), []).insert(0, decision)
    effects, held = journal.effects(), journal.held_back()
    found = []
    for name, case in cases.items():
        lines = journal.lines(case[0].seq)
        effect, reviews = effects.get(name, Effect(*name)), journal.reviews(name[1])[::-1]
        guarded = case[-1].seq in held
        changes = journal.published(name[1]) if not logs else []
        published = [change for change in changes if change.ref == name[0]]
        before = "" if published else _in_its_place(case, changes)
        where = addresses(lines, config)
        found.append(
            CaseFile(case, effect, reviews, lines, where, guarded, now, published, before, logs, same_config(config))
        )
    return found


def _in_its_place(case: list[Decision], changes: list[Change]) -> str:
    """Which case of the key stood in the table while this one did, if it did not itself."""
    begun, last = case[0], case[-1]
    put = (change for change in changes if change.change != "remove" and change.mode == begun.mode)
    refs = [change.ref for change in put if change.time < last.until and change.until > begun.time]
    return refs[-1] if refs else ""


def addresses(lines: list[str], config: Config) -> list[Address]:
    """The clients in log lines, those in most of them first."""
    from enforce import key as keys
    from logwatch.reading.scan import Scanner
    from logwatch.reading.stamp import Stamps

    text = "".join(f"{line}\n" for line in lines).encode()
    events = Scanner(Stamps(zone_of(config), 0.0), ("client_ip",)).scan(text)
    found = Counter(ip.decode() for ip in events["client_ip"] if ip)
    country = country_of(config)
    clients = ((ip, keys.client(ip), count) for ip, count in found.most_common())
    return [Address(ip, country(client) if client else None, count) for ip, client, count in clients]


def heading(file: CaseFile, config: Config) -> str:
    """A line for a case."""
    zone = zone_of(config)
    begun, last = file.begun, file.last
    stood = f"{clock(begun.time, zone)} to {clock(last.until, zone)}, {file.state}"
    return f"Case {begun.ref}: {printable(begun.key)}, {stood}"
