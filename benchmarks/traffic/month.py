"""The whole month in order of time, a day in memory at once, and the truth about its attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from benchmarks.traffic.attacks import FAMILIES, ON_ACCOUNTS, Plan
from benchmarks.traffic.machines import machines
from benchmarks.traffic.origins import Neighbourhood
from benchmarks.traffic.outside import Outside
from benchmarks.traffic.people import Person, population
from benchmarks.traffic.profile import Profile
from benchmarks.traffic.scene import DAY, HOUR, SENT, START, Attack, Event, Mail, seeded
from benchmarks.traffic.sending import Process, Trace, best

DAYS = 30
FIRST_ATTACK = 9.0  # day
LAST_ATTACK = {"drip": 20.0, "ramp": 22.0}  # day by which it has begun
DORMANT = 40  # accounts that never send; a fifth of the victims are among them
TO_CONTACTS = ("lateral", "lateral-near", "mixed")  # need a victim that has some


class Month:
    """A site's month; the same for the same site, seed and source of send times."""

    def __init__(  # noqa: PLR0913 - each is a fact about the month, with a default
        self,
        site: Profile,
        seed: int,
        *,
        each: int = 2,
        times: Trace | Process | None = None,
        kinds: Iterable[str] = FAMILIES,
        days: int = DAYS,
        begin: tuple[float, float] | None = None,
    ) -> None:
        """`each`: attacks of every family in `kinds` (a snowshoe is on several accounts, each an attack of its own).

        `begin`: the days between which attacks begin; default: when most is known of everybody.
        """
        name = f"{site.name} {seed}"
        self.site, self.name, self.days = site, name, days
        around = Neighbourhood.of(site, seeded(name, "around"))
        source = times or best()
        sources = [source.source(seeded(name, "times", number), days) for number in range(site.accounts)]
        self.people = population(around, sources, name)
        self.machines = machines(around, name)
        self.attacks: list[Attack] = []
        self._outside = Outside(site, name)
        dormant = [Person(f"quiet{number}", around, lambda _day: [], name) for number in range(DORMANT)]
        spans = [(family, begin or (FIRST_ATTACK, LAST_ATTACK.get(family, days - 3.0))) for family in kinds]
        planned = [one for one in spans for _ in range(each)]
        self._plans = _planned(around, [*self.people], dormant, planned, name)
        self._begun: list[Event] = []
        self._acting: list[Callable[[int], list[Event]]] = [
            *(person.day for person in self.people),
            *(machine.day for machine in self.machines),
            self._outside.day,
        ]

    def events(self) -> Iterator[Event]:
        """Everything that happens; `attacks` is complete when it ends."""
        for number in range(self.days):
            self._begin(number)
            end = START + (number + 1) * DAY
            today = [event for event in self._begun if event.time < end]
            self._begun = [event for event in self._begun if event.time >= end]
            for acts in self._acting:
                today += acts(number)
            today.sort(key=attrgetter("time"))
            yield from today

    def labels(self) -> dict[str, str]:
        """The class of every account that sends by itself."""
        people = {person.account: person.label for person in self.people}
        return people | {machine.account: machine.label for machine in self.machines}

    def _begin(self, number: int) -> None:
        """Attacks that begin on this day: what they know is what is known now."""
        for family, plan in self._plans:
            if family in ON_ACCOUNTS and plan.tried and _day(plan.tried) == number:
                self._begun.append(_trial(plan))
            if _day(plan.begin) == number:
                events = sorted(FAMILIES[family](plan), key=attrgetter("time"))
                account = plan.victim.account if family in ON_ACCOUNTS else ""
                self.attacks.append(Attack(plan.number, family, account, events[0].time, events[-1].time))
                self._begun += events


def _day(time: float) -> int:
    return int((time - START) // DAY)


def _trial(plan: Plan) -> Mail:
    """One message to see whether the password works; its label is negative, as nobody could stop it."""
    account = plan.victim.account
    return Mail(plan.tried, account, plan.address(), account, (plan.stranger(),), (SENT,), -plan.number)


def _planned(
    around: Neighbourhood,
    living: list[Person],
    dormant: list[Person],
    kinds: Iterable[tuple[str, tuple[float, float]]],
    name: str,
) -> list[tuple[str, Plan]]:
    chance = seeded(name, "plans")
    chance.shuffle(living)
    plans: list[tuple[str, Plan]] = []
    for family, days in kinds:
        begin = START + chance.uniform(*days) * DAY
        # three in ten are tried out with one message a day or so before
        tried = begin - chance.uniform(6, 48) * HOUR if chance.random() < 0.3 else 0.0
        for _ in range(chance.randrange(4, 9) if family == "snowshoe" else 1):
            idle = dormant and family not in TO_CONTACTS and chance.random() < 0.2
            victim = (dormant if idle else living).pop()
            number = len(plans) + 1
            plan = Plan(number, seeded(name, "attack", number), around, victim, begin, tried)
            plans.append((family, plan))
    return plans
