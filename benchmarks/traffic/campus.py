"""A third site, made from another point of view, on which no number of the shipped policy was tuned.

A university and its web shop. Nothing is shared with the other generator but what an event is and how lines look:

- Rates are heavy-tailed (Pareto), days are sessions; a term begins in the middle of the month, with new accounts.
- Providers have many blocks of addresses and give any of them out; phones come out of roaming hubs in other countries;
  a third of all persons use one of the VPN exits at times; departments share one login from many places.
- Conference invitations, monthly mail merges to strangers, a shop whose password resets and order confirmations go to
  whoever asks for them, a department that moves to another provider in one night, a newsletter that starts on day 15.
- Attackers sit behind victims' providers as well as at hosters, and their lists may be clean.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from benchmarks.traffic.places import abroad, block, host, network
from benchmarks.traffic.scene import DAY, HOUR, START, Attack, Event, Guess, Incoming, Mail, fates, seeded

DAYS = 30
TERM = 14  # day on which it begins
MOVE = 17  # day on which a department changes its provider
_LAND = "IT"


@dataclass(frozen=True)
class Site:
    """What a closed loop wants to know of it."""

    name: str = "campus"
    filtered: bool = False


class Town:
    """Addresses: three providers of forty blocks each, hubs of carriers in four countries, VPN exits, the campus."""

    def __init__(self, pick: random.Random) -> None:
        blocks = [block(pick, _LAND) for _ in range(121)]
        self.providers = [blocks[place : place + 40] for place in (0, 40, 80)]
        self.hubs = [block(pick, land) for land in (_LAND, _LAND, "FR", "DE", "CH", "AT")]
        self.exits = [network(pick, block(pick, land)) for land in ("NL", "SE", "US", "GB")]
        self.campus = [network(pick, blocks[120]) for _ in range(12)]

    def home(self, pick: random.Random, provider: int) -> str:
        """Any address of a provider."""
        return host(pick, network(pick, pick.choice(self.providers[provider])))


@dataclass
class User:
    """A login; `act` gives its messages of a day."""

    account: str
    label: str
    pick: random.Random
    act: Callable[[User, int], Iterator[Event]]
    provider: int = 0
    address: str = ""
    office: str = ""
    born: int = 0
    book: list[str] = field(default_factory=list)
    rate: float = 1.0

    def mail(self, time: float, client: str, to: tuple[str, ...], dead: float = 0.01, sender: str = "") -> Mail:
        """One honest message."""
        unique = tuple(dict.fromkeys(to))
        return Mail(
            time, self.account, client, sender or self.account, unique, fates(self.pick, len(unique), dead, 0.002, 0.02)
        )


class Campus:
    """A month, as `Month` is one."""

    def __init__(self, seed: int, accounts: int = 300, each: int = 1) -> None:
        self.site, self.name, self.days = Site(), f"campus {seed}", DAYS
        self.pick = seeded(self.name, "all")
        self.town = Town(self.pick)
        self.users = self._users(accounts)
        self._by_label: dict[str, list[User]] = {}
        for user in self.users:
            self._by_label.setdefault(user.label, []).append(user)
        self.attacks: list[Attack] = []
        self._planned = [(family, self.pick.uniform(10, 26)) for family in ATTACKS for _ in range(each)]
        self._unused = [user for user in self.users if user.label in ("student", "staff", "commuter") and user.born < 8]
        self.pick.shuffle(self._unused)

    def labels(self) -> dict[str, str]:
        """The class of every account."""
        return {user.account: user.label for user in self.users}

    def events(self) -> Iterator[Event]:
        """Everything that happens, in order of time."""
        waiting: list[Event] = []
        for day in range(DAYS):
            for user in self.users:
                if day >= user.born:
                    waiting += user.act(user, day)
            waiting += self._outside(day)
            for family, begin in self._planned:
                if int(begin) == day:
                    waiting += self._attack(family, START + begin * DAY)
            waiting.sort(key=attrgetter("time"))
            end = START + (day + 1) * DAY
            yield from (event for event in waiting if event.time < end)
            waiting = [event for event in waiting if event.time >= end]

    def _users(self, accounts: int) -> list[User]:
        kinds = ("student", "staff", "commuter", "department", "merger", "convener")
        users = []
        for number in range(accounts):
            pick = seeded(self.name, "user", number)
            label = pick.choices(kinds, (45, 25, 22, 3, 3, 2))[0]
            user = User(f"u{number}@campus.example", label, pick, self._person, pick.randrange(3))
            user.rate = min(40.0, 0.7 * pick.paretovariate(1.1))
            user.born = TERM + pick.randrange(3) if label == "student" and pick.random() < 0.15 else 0
            user.address, user.office = self.town.home(pick, user.provider), pick.choice(self.town.campus)
            user.book = [f"peer{number}.{one}@net{pick.randrange(300)}.example" for one in range(pick.randrange(4, 40))]
            users.append(user)
        for name, label, act in (
            ("shop", "shop", self._shop), ("lists", "list server", self._lists), ("news", "newsletter", self._news),
            ("late-news", "newsletter", self._news), ("copier", "scanner", self._copier),
            ("nagios", "monitoring", self._nagios),
        ):  # fmt: skip
            user = User(f"{name}@campus.example", label, seeded(self.name, name), act)
            user.address = f"{self.town.campus[0]}.{len(users) % 200 + 1}"
            user.born = 15 if name == "late-news" else 0
            users.append(user)
        return users

    def _where(self, user: User, day: int, hour: float) -> str:
        pick = user.pick
        if user.label == "department":
            return pick.choice(
                (f"{pick.choice(self.town.campus)}.{pick.randrange(1, 250)}", self.town.home(pick, pick.randrange(3)))
            )
        if user.label == "staff" and day % 7 < 5 and 8 <= hour < 18:
            return f"{user.office}.{1 + len(user.account) * 7 % 240}"
        if user.label == "commuter" and pick.random() < 0.5:
            return host(pick, f"{pick.choice(self.town.hubs)}.{pick.randrange(256)}")
        if user.provider == 2 and pick.random() < 0.3:
            return host(pick, pick.choice(self.town.exits))
        if pick.random() < (0.5 if user.provider == 1 else 0.03):
            user.address = self.town.home(pick, user.provider)
        return user.address

    def _person(self, user: User, day: int) -> Iterator[Event]:
        pick, midnight = user.pick, START + day * DAY
        if day == MOVE and user.office == self.town.campus[3]:
            user.provider = (user.provider + 1) % 3
            user.address = self.town.home(pick, user.provider)
        busy = user.rate * (0.3 if day % 7 >= 5 else 1.2) * (2.5 if TERM <= day < TERM + 4 else 1.0)
        for _ in range(_poisson(pick, busy / 2)):
            hour = min(23.0, max(0.0, pick.gauss(13 if user.label == "staff" else 16, 4)))
            client, time = self._where(user, day, hour), midnight + hour * HOUR
            for _ in range(1 + int(pick.expovariate(1))):
                count = min(80, int(pick.paretovariate(1.4)))
                yield user.mail(time, client, tuple(self._peer(user) for _ in range(count)))
                time += pick.expovariate(1 / 120)
        if (
            user.label == "merger" and day % 28 == 3 + user.provider * 6
        ):  # dates, invoices: one by one, mostly strangers
            client, many = self._where(user, day, 10), pick.randrange(30, 150)
            for place in range(many):
                one = f"pupil{pick.randrange(2000)}@homes{place % 90}.example"
                yield user.mail(midnight + 10 * HOUR + 3 * place, client, (one,), 0.03)
        if user.label == "convener" and pick.random() < 0.1:  # a call for papers, some addresses long dead
            to = tuple(
                f"scholar{pick.randrange(5000)}@uni{place % 60}.example" for place in range(pick.randrange(20, 60))
            )
            yield user.mail(midnight + pick.uniform(9, 20) * HOUR, self._where(user, day, 12), to, 0.06)
        if pick.random() < 0.01:
            time, client = midnight + pick.uniform(7, 22) * HOUR, self._where(user, day, 20)
            yield from (Guess(time + 30 * place, client, user.account) for place in range(pick.randrange(1, 20)))

    def _peer(self, user: User) -> str:
        pick = user.pick
        if pick.random() < 0.12:
            user.book.append(f"met{len(user.book)}.{user.account.partition('@')[0]}@net{pick.randrange(900)}.example")
            return user.book[-1]
        return user.book[int(pick.random() ** 2 * len(user.book))]

    def _shop(self, user: User, day: int) -> Iterator[Event]:
        """Confirmations to strangers all day; on some days somebody asks for thousands of password resets."""
        pick, midnight = user.pick, START + day * DAY
        for _ in range(pick.randrange(80, 200)):
            yield user.mail(
                midnight + pick.uniform(0, DAY), user.address, (f"buyer{pick.getrandbits(24)}@buys.example",), 0.03
            )
        if day in (12, 19):
            for place in range(1500):
                yield user.mail(
                    midnight + 15 * HOUR + 2 * place, user.address, (f"victim{pick.getrandbits(24)}@any.example",), 0.05
                )

    def _lists(self, user: User, day: int) -> Iterator[Event]:
        pick = user.pick
        for _ in range(pick.randrange(1, 25)):
            which, time = pick.randrange(12), START + day * DAY + pick.uniform(6, 24) * HOUR
            for place in range(0, 15 * (which + 1), 10):
                to = tuple(f"sub{which}.{one}@subs{one % 40}.example" for one in range(place, place + 10))
                back = f"l{which}-bounces+{pick.getrandbits(30)}@campus.example"
                yield user.mail(time + place / 10, user.address, to, 0.02, back)

    def _news(self, user: User, day: int) -> Iterator[Event]:
        if day % 7 == 2:
            for place in range(900):
                time = START + day * DAY + 9 * HOUR + place
                yield user.mail(time, user.address, (f"reader{place}@reads{place % 200}.example",), 0.03)

    def _copier(self, user: User, day: int) -> Iterator[Event]:
        for _ in range(user.pick.randrange(5, 90) if day % 7 < 5 else 0):
            to = f"u{user.pick.randrange(len(self.users))}@campus.example"
            yield user.mail(START + day * DAY + user.pick.uniform(8, 19) * HOUR, user.address, (to,), 0.0)

    def _nagios(self, user: User, day: int) -> Iterator[Event]:
        times = [user.pick.uniform(0, DAY) for _ in range(user.pick.randrange(5, 30))]
        if day in (5, 20):
            times += [DAY / 3 + 5 * place for place in range(700)]
        yield from (
            user.mail(START + day * DAY + time, user.address, ("oncall@campus.example",), 0.0) for time in times
        )

    def _outside(self, day: int) -> Iterator[Event]:
        pick, midnight = self.pick, START + day * DAY
        servers = [host(seeded(self.name, "server", one), network(pick, block(pick, "US"))) for one in range(40)]
        for _ in range(700):
            gone = pick.random() < 0.04
            to = f"u{pick.randrange(300)}{'gone' if gone else ''}@campus.example"
            yield Incoming(midnight + pick.uniform(0, DAY), pick.choice(servers), (to,), int(gone))

    def _attack(self, family: str, begin: float) -> Iterator[Event]:
        pick = seeded(self.name, family, begin)
        for _ in range(6 if family == "cohort" else 1):
            number, victim = len(self.attacks) + 1, self._unused.pop()
            if family == "shop-stolen":
                victim = self._by_label["shop"][0]
            crime = Crime(pick, self.town, victim, number, begin)
            events = sorted(ATTACKS[family](crime), key=attrgetter("time"))
            account = victim.account if isinstance(events[0], Mail) else ""
            self.attacks.append(Attack(number, family, account, events[0].time, events[-1].time))
            yield from events


@dataclass
class Crime:
    """What an attack is made of."""

    pick: random.Random
    town: Town
    victim: User
    number: int
    begin: float
    dead: float = 0.25

    def hoster(self) -> str:
        """A machine abroad."""
        return host(self.pick, network(self.pick, block(self.pick, abroad(self.pick, _LAND))))

    def proxy(self) -> str:
        """Somebody's machine at one of the town's providers."""
        return self.town.home(self.pick, self.pick.randrange(3))

    def stranger(self) -> str:
        """Somebody on a list."""
        return f"{self.pick.getrandbits(32):x}@free{self.pick.randrange(27)}.example"

    def mail(self, time: float, client: str, to: tuple[str, ...], sender: str = "") -> Mail:
        """One message of it."""
        made = fates(self.pick, len(to), self.dead, 0.03, 0.1)
        return Mail(time, self.victim.account, client, sender or self.victim.account, to, made, self.number)

    def one_by_one(self, client: Callable[[], str], hourly: float, hours: float, begin: float = 0.0) -> Iterator[Mail]:
        """To strangers at a rate."""
        time = start = begin or self.begin
        while (time := time + self.pick.expovariate(hourly / HOUR)) < start + hours * HOUR:
            yield self.mail(time, client(), (self.stranger(),))


def _night(crime: Crime) -> Iterator[Event]:
    """At night, from one hoster."""
    where = crime.hoster()
    start = crime.begin - crime.begin % DAY + 26 * HOUR
    return crime.one_by_one(lambda: where, crime.pick.uniform(150, 900), 3, start)


def _clean(crime: Crime) -> Iterator[Event]:
    """The same to a list without dead addresses."""
    crime.dead = 0.01
    return _night(crime)


def _hidden(crime: Crime) -> Iterator[Event]:
    """Ninety-nine at a time, a few messages an hour."""
    where = crime.hoster()
    for hour in range(20):
        for _ in range(crime.pick.randrange(2, 7)):
            to = tuple(crime.stranger() for _ in range(99))
            yield crime.mail(crime.begin + (hour + crime.pick.random()) * HOUR, where, to)


def _proxies(crime: Crime) -> Iterator[Event]:
    """Another address at the town's providers for every message."""
    return crime.one_by_one(crime.proxy, crime.pick.uniform(15, 60), 12)


def _tried_first(crime: Crime) -> Iterator[Event]:
    """One message a day for three days, then forty an hour."""
    where = crime.hoster()
    for day in range(3):
        yield crime.mail(crime.begin + day * DAY * 0.9, where, (crime.stranger(),))
    yield from crime.one_by_one(lambda: where, 40, 10, crime.begin + 2.7 * DAY)


def _contacts(crime: Crime) -> Iterator[Event]:
    """First those in the address book, then strangers."""
    where, time, known = crime.hoster(), crime.begin, list(crime.victim.book)
    crime.pick.shuffle(known)
    crime.dead = 0.02
    for to in known[:150]:
        time += crime.pick.expovariate(1 / 40)
        yield crime.mail(time, where, (to,))
    crime.dead = 0.25
    yield from crime.one_by_one(lambda: where, 90, 4, time)


def _infected(crime: Crime) -> Iterator[Event]:
    """From the victim's own machine."""
    return crime.one_by_one(lambda: crime.victim.address, crime.pick.uniform(30, 200), 6)


def _forger(crime: Crime) -> Iterator[Event]:
    """Under banks' names, three recipients a message."""
    where = crime.hoster()
    for time in (crime.begin + 60 * place for place in range(200)):
        to = tuple(crime.stranger() for _ in range(3))
        yield crime.mail(time, where, to, f"service{crime.pick.randrange(40)}@bank.example")


def _cohort(crime: Crime) -> Iterator[Event]:
    """Several logins from the same five networks, some ten an hour each."""
    shared = seeded("cohort", crime.begin)
    where = [network(shared, block(shared, abroad(shared, _LAND))) for _ in range(5)]
    return crime.one_by_one(lambda: host(crime.pick, crime.pick.choice(where)), crime.pick.uniform(6, 14), 30)


def _globe(crime: Crime) -> Iterator[Event]:
    """Another country for every message."""
    return crime.one_by_one(crime.hoster, crime.pick.uniform(20, 90), 10)


def _shop_stolen(crime: Crime) -> Iterator[Event]:
    """The login of what sends to strangers all day."""
    where = crime.hoster()
    return crime.one_by_one(lambda: where, 700, 3)


def _sampler(crime: Crime) -> Iterator[Event]:
    """Tries names of one domain, two at a time."""
    where = crime.hoster()
    for place in range(600):
        tried = (f"a{place}@campus.example", f"b{place}@campus.example")
        yield Incoming(crime.begin + place * 9, where, tried, 2, crime.number)


def _spray(crime: Crime) -> Iterator[Event]:
    """One password for everybody, from a hoster."""
    where = crime.hoster()
    for place in range(900):
        yield Guess(crime.begin + place * 4, where, f"u{place % 300}@campus.example", crime.number)


ATTACKS: dict[str, Callable[[Crime], Iterator[Event]]] = {
    "night": _night,
    "clean list": _clean,
    "hidden copies": _hidden,
    "proxies": _proxies,
    "tried first": _tried_first,
    "contacts first": _contacts,
    "infected": _infected,
    "forger": _forger,
    "cohort": _cohort,
    "globe": _globe,
    "shop-stolen": _shop_stolen,
    "sampler": _sampler,
    "spray": _spray,
}


def _poisson(pick: random.Random, mean: float) -> int:
    count, left = 0, mean
    while (left := left - pick.expovariate(1)) > 0:
        count += 1
    return count
