"""Persons: their address books, their days, and the rare day on which an honest one looks like an attack."""

from __future__ import annotations

from benchmarks.traffic.origins import Neighbourhood, Origin
from benchmarks.traffic.scene import DAY, START, Event, Guess, Mail, fates, seeded
from benchmarks.traffic.sending import Source

DOMAINS = [f"partner{number}.example" for number in range(20)]


class Person:
    """One login of somebody who writes mail."""

    def __init__(self, name: str, around: Neighbourhood, source: Source, seed: str) -> None:
        self.site = around.site
        self.account = f"{name}@{self.site.name}.example"
        self.pick = seeded(seed, name)
        self.origin = Origin(around, self.pick)
        self.sender = self.account
        if self.pick.random() < self.site.alias:
            self.sender = f"{name}.alias@{self.site.name}-brand.example"
        self.book: dict[str, int] = {}  # address -> day of the last message
        self._source = source
        self._fresh = 0
        self.travels = False

    @property
    def label(self) -> str:
        """The class that false alarms are counted under."""
        return "traveller" if self.travels else self.origin.kind

    def day(self, number: int) -> list[Event]:
        """What this person does on a day of the month."""
        self.travels |= self.origin.turn(number)
        events: list[Event] = []
        for second, contacts in self._source(number):
            time = START + number * DAY + second
            events.append(self._mail(time, self._addresses(contacts), self.origin.client(second, number)))
            if self.pick.random() < 0.003:
                events += self._mistyped(time)
        if self.pick.random() < self.site.bursts:
            events += self._burst(number)
        self._remember(events, number)
        return events

    def _mail(self, time: float, recipients: tuple[str, ...], client: str) -> Mail:
        made = fates(self.pick, len(recipients), self.site.dead, 0.001, 0.02)
        return Mail(time, self.account, client, self.sender, recipients, made)

    def _addresses(self, contacts: tuple[int, ...]) -> tuple[str, ...]:
        found = [self._address(contact) for contact in contacts]
        if self.pick.random() < self.site.strangers:
            found[-1] = self._stranger()
        return tuple(dict.fromkeys(found))

    def _address(self, contact: int) -> str:
        """A contact's address; the same whenever this account writes to him."""
        pick = seeded(self.account, contact)
        if pick.random() < self.site.internal:
            return f"user{int(pick.random() ** 2 * self.site.accounts)}@{self.site.name}.example"
        if pick.random() < 0.6:
            return f"contact{pick.randrange(400)}@{DOMAINS[int(pick.random() ** 2 * 20)]}"
        return f"c{contact}.{pick.randrange(9)}@far{pick.randrange(3000)}.example"

    def _stranger(self) -> str:
        self._fresh += 1
        return f"new{self._fresh}.{self.account.partition('@')[0]}@elsewhere{self.pick.randrange(5000)}.example"

    def _burst(self, number: int) -> list[Event]:
        """An invitation to many at once, or a circular to one after the other."""
        pick, many = self.pick, self.pick.randrange(20, 70)
        start, known = pick.uniform(8.5, 17) * 3600, list(self.book)
        people = [
            self._stranger() if not known or pick.random() < self.site.burst_strangers else pick.choice(known)
            for _ in range(many)
        ]
        unique, time = tuple(dict.fromkeys(people)), START + number * DAY + start
        client = self.origin.client(start, number)
        if pick.random() < 0.5:
            return [self._mail(time, unique, client)]
        return [self._mail(time + 40 * place, (one,), client) for place, one in enumerate(unique)]

    def _mistyped(self, time: float) -> list[Event]:
        """A program with an old password, or a thick finger."""
        client, count = (
            self.origin.client(time % DAY, int((time - START) // DAY)),
            self.pick.choice((1, 1, 2, 3, 12, 25)),
        )
        return [Guess(time + 20 * place, client, self.account) for place in range(count)]

    def _remember(self, events: list[Event], number: int) -> None:
        for event in events:
            if isinstance(event, Mail):
                self.book.update(dict.fromkeys(event.recipients, number))


def population(around: Neighbourhood, sources: list[Source], seed: str) -> list[Person]:
    """As many persons as there are sources."""
    return [Person(f"user{number}", around, source, seed) for number, source in enumerate(sources)]
