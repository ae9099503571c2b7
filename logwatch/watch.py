"""The live controller: follow the log, decide, write the journal, publish.

For every piece of log, in this order: judge it; publish; write decisions, log position and memory to the journal in one
transaction: at once where something was decided, else ten times a second (`telling.recorder.SAVE_EVERY`). Killed
between any two steps, the next start reads on from the journal, decides the same again where it had not been written,
and makes the table equal to it: nothing is lost, nothing counted twice, no reference changes.

What cannot be written does not stop it: while the journal fails, decisions wait in memory (`telling.recorder`) and are
published all the same; while the table fails, it is tried again at every beat. Both are said once a minute.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from enforce.config import Config, ConfigError
from enforce.errors import ReportedError
from enforce.key import EVERYBODY
from logwatch.core import Core, Step
from logwatch.dnsbl_client import Asker
from logwatch.judging.language import PolicyError
from logwatch.judging.pending_reviews import Confirmation, Release
from logwatch.judging.policy import Policy
from logwatch.policy_files import Lists, content_of
from logwatch.ports import Ports, Say, Standing, Table, Written
from logwatch.reading import loss
from logwatch.reading.follow import Wake
from logwatch.reading.source import DamageError, all_of, despite
from logwatch.rerun import lines_of, start_of
from logwatch.schema import DEFAULT_CAP, Decision, Listing, iso
from logwatch.settings import core_of, follower_of, zone_of
from logwatch.telling import orders, published
from logwatch.telling.announcements import Herald, Tell, line
from logwatch.telling.export import Exporter
from logwatch.telling.journal import TAKEN_BACK, Journal, Review
from logwatch.telling.keeper import Keeper
from logwatch.telling.metrics import ControllerState, Snapshot
from logwatch.telling.notify import Happening
from logwatch.telling.recorder import SAVE_EVERY, Recorder
from logwatch.telling.verdicts import CONFIRMED
from logwatch.wall_clock import lately

POLL = 1.0  # seconds after which files are looked at though nothing woke us
_LATELY = 3600.0  # seconds: clients of older lines are not asked about
_QUIET = 60.0  # seconds before the same trouble is said again
_TOGETHER = (
    "the policy's text has changed; in a cluster it stays as it was: stop all controllers, change it on all, start them"
)
_IN_PART = (
    "the older logs were learned from up to %s, and no further: it was stopped; to learn from all of them begin anew "
    "with an empty state directory"
)
_COMMON = ("guard", "loss")  # what every controller on the same lines sees

log = logging.getLogger("mailbrake.watch")


class LearnedError(ReportedError):
    """There is a past already, so that older logs cannot be read any more."""


def _keeper(config: Config, standing: Standing, say: Say, written: Written) -> Table:
    return Keeper(config, standing, say, written, Exporter(config, say))


MACHINE = Ports(follower_of, _keeper, Journal.unseen, content_of)


class Controller:
    """One controller on one state directory; `now` is the wall clock, for leases and ends."""

    def __init__(
        self,
        config: Config,
        now: Callable[[], float],
        tell: Tell = lambda _: None,
        ports: Ports = MACHINE,
        past: Iterable[str] = (),
    ) -> None:
        """`tell` takes what people may want to be notified of, and returns at once; `past`: logs for `learn`."""
        self._config = config
        self._ports = ports
        self._now = now
        self._lists = Lists(config, ports.content)
        policy = self._lists.policy
        self._recorder = Recorder(config.journal, config.state.keep, now, lambda problem: self._say("journal", problem))
        with ExitStack() as opened:
            opened.callback(self._recorder.close)
            self.source = ports.source(config, self.journal.noted("positions") or {})
            opened.callback(self.source.close)
            self._past = self._before(past)
            self.core = core_of(config, policy, self._start())
            opened.pop_all()  # from here on `close` sees to them
        self._hung_up = False
        self._looked = float("-inf")
        zones = policy.zones()
        self.asker = Asker(zones, config.reputation, time.monotonic) if zones else None
        self._take_up(self.core)
        self._compare_names()
        self._learning = False
        if self.journal.noted("learning"):
            log.warning(_IN_PART, iso(self.core.reader.clock))
        self._lost = Counter(self.journal.noted("losses") or {})  # by what followed the log in earlier lives
        self._warner = loss.Warner(self._losses())
        self._troubles: dict[str, float] = {}
        self._hindered: list[str] | None = None  # by what the log cannot be read, as the journal has it
        self._tell = tell
        self._herald = Herald(self._told, self._standing(), self.core.judge.guarded, _named(policy))
        self._table = ports.table(config, self._standing, self._say, self._written)
        read = self.core.reader.clock  # what had not ended then counts, though it may have by now
        self._recorder.attend(self._decided(read), self._ordered(read))
        self._note_lists()

    @property
    def journal(self) -> Journal:
        """What has been written down; another object once its file had to be put back."""
        return self._recorder.journal

    def reread(self) -> None:
        """Have the policy and all its lists read again, changed or not; may be called from a signal handler."""
        self._hung_up = True

    def run(self, wake: Wake, stopped: Callable[[], bool]) -> None:
        """Until `stopped`."""
        while not stopped():
            self.once(stopped)
            if wake.problem:
                self._say("wake", wake.problem)
            wake.wait(SAVE_EVERY if self._recorder.unwritten else POLL)
        self.close()

    def once(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Take in all that there is; JournalError, BusyError where somebody else has taken over the state directory."""
        if seen_to := self._is_time():
            self._recorder.stay()
        self._relist()
        self._listen()
        self._reviews()
        self._table.beat(self._now())
        for chunk in self.source.lines():
            self._step(chunk)
            self._relist()
            self._listen()
            self._reviews()
            self._table.beat(self._now())
            if stopped():
                break
        self._save_in_time()
        if seen_to:
            self._warn(self.source.problems())
            self._measure()
            self._recorder.tidy()

    def _is_time(self) -> bool:
        """Whether to see to what need not be seen to at each wake of a busy log: `SAVE_EVERY` after the last time."""
        now = self._now()
        if now < self._looked - POLL:
            self._recall()
        if now != self._looked and lately(self._looked, now, SAVE_EVERY):  # a clock that stands still tells nothing
            return False
        self._looked = now
        return True

    def learn(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Read the past, before the first line that is followed: what everybody is used to; SourceError on a bad file.

        It is judged as what is followed at a first start: what has ended by now is journalled and not published. Of
        packed logs that are damaged is learned what can be read; DamageError when all has been.
        """
        damage: list[DamageError] = []
        self._learning = bool(self._past)
        for chunk in despite(damage, lines_of(self._past, zone_of(self._config), self._now())):
            self._step(chunk, live=False)
            self._table.beat(self._now())
            if stopped():
                log.warning(_IN_PART, iso(self.core.reader.clock))
                return
        if self._learning:
            self._learning = False
            self._lost["damaged"] += sum(len(error.args) for error in damage)
            self._save()
            learned = (self.core.reader.scanner.lines, iso(self.core.reader.clock), self.core.judge.seq)
            log.info("learned from %s lines, up to %s; %s decisions by them are in the journal", *learned)
        if damage:
            raise all_of(damage)

    def _warn(self, problems: list[str]) -> None:
        """Say what keeps the log from being read, and what is missing from it."""
        for problem in problems:
            self._say("log", problem)
        if problems != self._hindered and self._recorder.hindered(problems):
            self._hindered = problems
        clocks = [f"{host} is {much}" for host, much in loss.clocks_off(self.core.reader.off).items()]
        if warning := self._warner.warning(self._losses(), [*self.source.notices(), *clocks], self._now()):
            log.warning("%s", warning)
            self._herald.lost(warning, self._now())

    def figures(self) -> Snapshot:
        """What metrics tell, as of the last step; it never changes, and may be asked for from any thread."""
        return self._herald.meter.snapshot

    def _measure(self) -> None:
        now = self._now()
        seen = ControllerState(
            now=now,
            clock=self.core.reader.clock,
            lines=self.core.reader.lines,
            events=self.core.events,
            lost=self._losses(),
            guarded=self.core.judge.guarded,
            memories=self.core.memories(),
            unwritten=self._recorder.waiting(),
            standing=self._herald.standing.counts(now),
            table=self._table.health(now),
        )
        self._herald.meter.take(seen)

    def _recall(self) -> None:
        """The clock has been set back: what had ended by it stands again, and is nothing new."""
        try:
            self._herald.standing.recall(self._standing())
        except sqlite3.Error as error:
            self._say("journal", f"{self._config.journal}: cannot be read: {error}")

    def close(self) -> None:
        """Write the last position; the table keeps what stands until its leases run out."""
        self._save()
        if self.asker:
            self.asker.close()
        self._table.close()
        self.source.close()
        self._recorder.close()

    def _start(self) -> float:
        """About when the first line that will be read was written."""
        facts = self.journal.facts()
        if facts:
            return float(facts["stamp"])
        return start_of([*self._past, *self.source.paths()], zone_of(self._config), self._now())

    def _before(self, past: Iterable[str]) -> list[str]:
        """Logs of the past without those that are followed, which are read from their beginning anyway."""
        followed = {Path(path).resolve() for path in self.source.paths()}
        found = [path for path in past if Path(path).resolve() not in followed]
        if found and self.journal.facts():
            raise LearnedError(
                f"{self._config.journal}: has a past already; older logs can only be read before everything else: "
                "leave --learn out, or begin anew with an empty state directory"
            )
        return found

    def _take_up(self, core: Core) -> None:
        facts = self.journal.facts()
        if facts and not core.restore(facts, self.journal.remembered()):
            log.warning(
                "what was counted was kept for other windows than this policy's, or by another version, and is counted "
                "anew; what stands, stands"
            )

    def _names(self) -> dict[str, object]:
        """How a login becomes an account: what was remembered under other names is found no more."""
        return {"default_realm": self._config.log.default_realm, "keep_case": self._config.log.keep_case}

    def _compare_names(self) -> None:
        known = self.journal.noted("names")
        if known not in (None, self._names()):
            log.warning(
                "accounts are named in another way than before (%s; now %s): those whose name it changes are new ones, "
                "and what stood against them holds no longer",
                *(", ".join(f"{name} {value!r}" for name, value in said.items()) for said in (known, self._names())),
            )

    def _losses(self) -> dict[str, int]:
        return loss.totals(self.core.facts(), self._lost + self.source.losses())

    # One piece of log.

    def _step(self, chunk: bytes, *, live: bool = True) -> None:
        begun = self._now()
        step = self.core.feed(chunk)
        self._publish(step, logging.INFO if live else logging.DEBUG)
        os.sched_yield()  # to whoever looks at the table
        self._recorder.take(chunk, step.events, step.decisions, step.held, step.tips)
        self._save_in_time()
        if live:
            self._ask(step)
        if chunk:
            self._herald.meter.stepped(begun, self._now(), self.core.reader.clock)

    def _save_in_time(self) -> None:
        self._recorder.published(self._table.changes())
        if self._recorder.due():
            self._save()

    def _save(self) -> bool:
        """Decisions, what was published, position and memory, all or nothing; whether they are written."""
        self._recorder.published(self._table.changes())
        notes = {
            "facts": self.core.facts(),
            "positions": self.source.positions(),
            "losses": self._lost + self.source.losses(),
            "names": self._names(),
            "learning": self._learning,
        }
        return self._recorder.save(self.core.memories(), notes)

    def _publish(self, step: Step, level: int) -> None:
        effective = [decision for decision in step.decisions if not self.core.said.releases(decision)]
        if effective or step.caps:
            self._table.publish([*effective, *step.caps], self._now())
        for decision in step.decisions:
            log.log(level, "%s", line(decision))
        told = self._table.to_tell(effective, self._now())
        self._herald.decided(told, step.held, self.core.judge.guarded, self._now())

    def _told(self, happening: Happening) -> None:
        """Pass on what people are to hear of, once, whichever controllers see it."""
        if happening.about not in _COMMON or self._table.speaks_for_all():
            self._tell(happening)

    # What the policy's lists hold.

    def _relist(self) -> None:
        """Read lists that have changed, and what SIGHUP asked for; what does not stand any more is taken off."""
        hung_up, self._hung_up = self._hung_up, False
        try:
            if hung_up and not self._config.cluster.servers:
                self._adopt(Lists(self._config, self._ports.content))
                return
            if hung_up and self._lists.edited():  # all controllers must change at one place between the lines
                self._say("list", _TOGETHER, quiet=0)
            policy = self._lists.at_once() if hung_up else self._lists.anew(self._now())
        except PolicyError as error:
            self._say("list", f"{error}; policy and lists stay as they were", quiet=0)
            return
        if policy:
            self._exchange(partial(self.core.relist, policy), "lists of the policy", published.LISTED)

    def _adopt(self, lists: Lists) -> None:
        """Go on with a policy that was read anew, text and all: from the next line on, as after a restart."""
        policy, known = lists.policy, self.core.judge.policy
        if policy.zones() != known.zones():
            self._say(
                "list", "the policy asks other lists in the DNS, which needs a restart; it stays as it was", quiet=0
            )
        elif policy == known:
            self._lists = lists
            self._exchange(partial(self.core.relist, policy), "policy and lists", published.LISTED)
        elif not self._save():
            self._say("list", "what is remembered cannot be written; the policy stays as it was", quiet=0)
        else:
            try:
                core = core_of(self._config, policy, self._start())
            except ConfigError as error:  # the file of countries, which is being replaced
                self._say("list", f"{error}; the policy stays as it was", quiet=0)
                return
            self._exchange(partial(self._renew, core, lists), "a new policy", published.POLICY)

    def _renew(self, core: Core, lists: Lists) -> None:
        """Another core, which remembers what this one has just written down."""
        self._take_up(core)
        self.core, self._lists = core, lists
        self._herald.meter.expect(_named(core.judge.policy))

    def _note_lists(self) -> None:
        """Say which lists count from now on, so that a replay can be told from what was decided."""
        for path, digest in self.core.judge.policy.digests.items():
            log.info("list %s: SHA-256 %s…", path, digest)

    def _exchange(self, change: Callable[[], None], what: str, why: str) -> None:
        """Change the policy, and the table where other decisions stand by it."""
        self._save()  # what has been judged by the old one is not judged again by the new one
        now = self._now()
        try:  # the journal is read before anything changes: then all of it is in effect, or nothing
            made, ordered = self._recorder.standing(now), self._ordered(now)
            before = _by_key([*self._still(made), *ordered, *self._ceilings()])
            change()
        except sqlite3.Error as error:
            problem = f"{self._config.journal}: cannot be read: {error}; put off until SIGHUP: {what}"
            self._say("journal", problem, quiet=0)
            return
        after = _by_key([*self._still(made), *ordered, *self._ceilings()])
        log.info("read again, and in effect after %s: %s", iso(self.core.reader.clock), what)
        self._note_lists()
        for key in [key for key in before | after if before.get(key) != after.get(key)]:
            left = after.get(key, [])
            self._table.forget(key, self._now(), why)
            self._herald.standing.forget(key)
            self._herald.standing.take(left, self._now())
            self._recorder.stand(key, [decision for decision in left if decision.rule != DEFAULT_CAP])
            self._table.publish(left, self._now(), why)

    # What DNS block lists say.

    def _ask(self, step: Step) -> None:
        """Ask about the clients of what has just happened; not about those of a log that is being caught up with."""
        if self.asker and self._now() - self.core.reader.clock < _LATELY:
            clients = {client for client in step.events["client"].tolist() if client}
            self.asker.ask(client for client in sorted(clients) if not self.core.judge.policy.exempt(client))

    def _listen(self) -> None:
        """Take up answers that have come: written down before anything is decided by them."""
        for problem in self.asker.problems() if self.asker else ():
            self._say("dnsbl", problem)
        answers = self.asker.answers() if self.asker else ()
        if answers:
            clock = self.core.reader.clock
            found = (Listing(clock, clock + one.ttl, one.client, one.zone, one.codes) for one in answers)
            self._recorder.answered([self.core.answer(listing) for listing in found])
            self._save()

    # What operators say.

    def _reviews(self) -> None:
        try:
            unseen = self._ports.reviews(self.journal)
        except sqlite3.Error as error:
            self._say("journal", f"{self._config.journal}: reviews cannot be read: {error}")
            return
        for review in self._recorder.new(unseen):
            self._take(review)

    def _take(self, review: Review) -> None:
        effective, said = review.time, f"{review.verdict.split()[0]} by {review.by}"
        if review.verdict in TAKEN_BACK:
            effective = self.core.hear(Release(review.key, review.time, review.until or 0.0))
            self._table.forget(review.key, self._now(), said)
            self._table.publish(self._ceilings(review.key), self._now())
            self._herald.standing.forget(review.key)
            self._recorder.released(review.key)
        elif review.verdict == CONFIRMED:
            effective = self.core.hear(Confirmation(review.key, review.time))
        elif order := orders.decision_of(review):
            self._table.publish([order], self._now(), said)
            self._herald.standing.take([order], self._now())
            self._recorder.ordered(order)
        self._recorder.reviewed(review, effective, self.core.judge.seq)
        self._save()
        log.info("%s %s by %s, in effect after %s", review.key, review.verdict, review.by, iso(effective))

    # What the table should hold.

    def _standing(self, time: float | None = None) -> list[Decision]:
        now = self._now() if time is None else time
        return self._decided(now) + self._ordered(now) + self._ceilings()

    def _ordered(self, time: float) -> list[Decision]:
        return orders.standing(self.journal.reviews(), time)

    def _written(self) -> list[published.Change]:
        """The changes after which the table is what it is, by all that is known to have been written to it."""
        self._recorder.published(self._table.changes())
        return self._recorder.listed()

    def _ceilings(self, key: str = "") -> list[Decision]:
        """How many recipients a message may have; of one key, or of all. Numbers of an account's own are no denial."""
        found = self.core.judge.ceilings.standing(self.core.judge.policy)
        return [d for d in found if d.until > self._now() and (d.key == key != EVERYBODY or not key)]

    def _decided(self, time: float) -> list[Decision]:
        return self._still(self._recorder.standing(time))

    def _still(self, made: Iterable[Decision]) -> list[Decision]:
        """What decisions that stand mean by the policy as it is now."""
        found = (self.core.stands(decision) for decision in made)
        return [decision for decision in found if decision]

    def _say(self, about: str, problem: str, quiet: float = _QUIET) -> None:
        now = self._now()
        if not lately(self._troubles.get(about, float("-inf")), now, quiet):
            self._troubles[about] = now
            log.warning("%s", problem)
            self._herald.trouble(about, problem, now)


def _named(policy: Policy) -> list[tuple[str, str]]:
    """Each rule with what it does."""
    return [(rule.name, rule.action) for rule in policy.rules]


def _by_key(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    found: dict[str, list[Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.key, []).append(decision)
    return found
