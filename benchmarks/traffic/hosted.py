"""A fourth site, written when the policy was settled, for a look at it from elsewhere.

Mailboxes of small customers at a hoster, by published and measured numbers wherever there are any (rates, sessions,
first contacts, hours, recipients, attacks); nothing is shared with the other generators but what an event is, how lines
look, and which addresses lie in which country.

- Rates are lognormal, two in a hundred mailboxes are shared by several people, one is a device, one a newsletter.
- People write in sessions; three sessions in a thousand are runs of 20 to 60 messages, one by one, mostly to people
  whom they know: the honest thing that looks most like an abused login.
- Homes move to another network every twenty days, a third of all people write from a carrier, too, with another address
  each time, some from another IPv6 address every day; a few travel, or come out of a VPN.
- A third of all stolen logins are tried out with one message on the same day.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from benchmarks.traffic.places import abroad, block, host, lands, network
from benchmarks.traffic.scene import DAY, HOUR, NOISE, START, Attack, Event, Guess, Incoming, Mail, fates, seeded

DAYS = 30
LAND = "PL"
_OFFICE = (7, 7, 4, 3, 3, 2, 1, 1, 7, 24, 66, 106, 115, 105, 103, 102, 106, 92, 57, 33, 22, 13, 12, 8)
_EARLY = (0, 0, 0, 0, 0, 9, 47, 122, 133, 106, 115, 119, 115, 114, 77, 22, 7, 3, 2, 2, 1, 1, 2, 1)
_DEAD, _DEFERRED = 0.008, 0.02


@dataclass(frozen=True)
class Site:
    """What a closed loop wants to know of it."""

    name: str
    filtered: bool = True


@dataclass
class Box:
    """A mailbox: whose it is, how much it sends, to whom, and from where."""

    account: str
    label: str
    pick: random.Random
    rate: float  # messages a day
    sender: str
    hours: tuple[int, ...]
    weekend: float
    fresh: float  # share of recipients to whom it never wrote
    places: dict[str, str] = field(default_factory=dict)  # home, office, exit, trip, six: an address or network
    book: list[str] = field(default_factory=list)
    back: int = -1  # last day of a trip
    trips: bool = False

    def somebody(self) -> str:
        """A recipient: those whom it knows best most often."""
        if not self.book or self.pick.random() < self.fresh:
            self.book.append(f"{self.pick.getrandbits(36):x}@d{int(self.pick.paretovariate(1.1)) % 5000}.example")
            return self.book[-1]
        return self.book[int(self.pick.random() ** 2 * len(self.book))]


class Hosted:
    """A month, as `Month` is one."""

    called = "hosted"

    def __init__(self, seed: int, accounts: int = 300, each: int = 1) -> None:
        self.site, self.name, self.days = Site(self.called), f"{self.called} {seed}", DAYS
        self.pick = seeded(self.name, "all")
        self._providers = [[block(self.pick, LAND) for _ in range(6)] for _ in range(4)]
        self._carriers = [f"{block(self.pick, LAND)}." for _ in range(2)]
        self._exits = [network(self.pick, block(self.pick, land)) for land in ("NL", "SE", "US")]
        self.boxes = [self._box(number) for number in range(accounts)]
        self.attacks: list[Attack] = []
        begins = [(family, self.pick.uniform(10, 25)) for family in ATTACKS for _ in range(each)]
        self._plans = [(family, START + begin * DAY) for family, begin in begins]
        people = [box for box in self.boxes if box.label == "person"]
        self._victims = self.pick.sample(people, len(people))

    def labels(self) -> dict[str, str]:
        """The class of every account."""
        return {box.account: "traveller" if box.trips else box.label for box in self.boxes}

    def events(self) -> Iterator[Event]:
        """Everything that happens, in order of time."""
        waiting: list[Event] = []
        for day in range(DAYS):
            for box in self.boxes:
                waiting += _ACTS[box.label](self, box, day)
            waiting += self._outside(day)
            for family, begin in self._plans:
                if START + day * DAY <= begin < START + (day + 1) * DAY:
                    waiting += self._attack(family, begin)
            waiting.sort(key=attrgetter("time"))
            end = START + (day + 1) * DAY
            yield from (event for event in waiting if event.time < end)
            waiting = [event for event in waiting if event.time >= end]

    def _box(self, number: int) -> Box:
        pick = seeded(self.name, "box", number)
        label = pick.choices(("person", "shared", "newsletter", "device"), (96, 2, 1, 1))[0]
        account = f"box{number}@customer{number % 40}.example"
        hours = pick.choices((_OFFICE, _EARLY, _OFFICE[6:] + _OFFICE[:6]), (70, 15, 15))[0]
        rate = min(150.0, pick.lognormvariate(math.log(0.6), 1.8)) * (6 if label == "shared" else 1)
        sender = f"sales@brand{number}.example" if pick.random() < 0.015 else account
        box = Box(account, label, pick, rate, sender, hours, pick.uniform(0.05, 0.35), pick.uniform(0.05, 0.15))
        provider = pick.choice(self._providers)
        box.places["home"] = self._home(pick, provider)
        if pick.random() < 0.4:
            box.places["office"] = host(pick, network(pick, provider[number % 6]))
        if pick.random() < 0.35:
            box.places["carrier"] = pick.choice(self._carriers)
        if pick.random() < 0.25:
            box.places["six"] = f"2a02:{pick.randrange(1 << 12):x}:{pick.randrange(1 << 16):x}"
        if pick.random() < 0.02:
            box.places["exit"] = pick.choice(self._exits)
        box.places["provider"] = str(self._providers.index(provider))
        for _ in range(pick.randrange(5, 80)):
            box.book.append(f"{pick.getrandbits(36):x}@d{int(pick.paretovariate(1.1)) % 5000}.example")
        return box

    @staticmethod
    def _home(pick: random.Random, provider: list[str]) -> str:
        return host(pick, network(pick, pick.choice(provider)))

    def _turn(self, box: Box, day: int) -> None:
        """A new day: another home, a trip."""
        pick = box.pick
        if pick.random() < 1 / 20:
            box.places["home"] = self._home(pick, self._providers[int(box.places["provider"])])
        if day > box.back and pick.random() < 0.01 / 30 * (5 if "exit" in box.places else 1):
            box.back, box.trips = day + pick.randrange(3, 11), True
            box.places["trip"] = network(pick, block(pick, abroad(pick, LAND)))

    def _where(self, box: Box, day: int, hour: float) -> str:
        pick, places = box.pick, box.places
        if day <= box.back:
            return host(pick, places["trip"])
        if "exit" in places and pick.random() < 0.3:
            return host(pick, places["exit"])
        if "carrier" in places and pick.random() < 0.3:
            return host(pick, f"{places['carrier']}{pick.randrange(64)}")
        if "office" in places and day % 7 < 5 and 8 <= hour < 18:
            return places["office"]
        if "six" in places and pick.random() < 0.7:
            return f"{places['six']}:{day:x}::{pick.randrange(1, 1 << 16):x}"
        return places["home"]

    def _person(self, box: Box, day: int) -> Iterator[Event]:
        pick = box.pick
        self._turn(box, day)
        mean = box.rate * (box.weekend if day % 7 >= 5 else 1.3) * pick.gammavariate(0.65, 1 / 0.65) / 1.4
        for _ in range(_poisson(pick, mean)):
            hour = pick.choices(range(24), box.hours)[0] + pick.random()
            client, time = self._where(box, day, hour), START + day * DAY + hour * HOUR
            run = pick.random() < 0.003
            for _ in range(pick.randrange(20, 61) if run else 1 + _geometric(pick, 0.35)):
                count = 1 if run or pick.random() < 0.84 else min(100, int(2 * pick.paretovariate(1.4)))
                yield self._mail(box, time, client, tuple({box.somebody() for _ in range(count)}))
                time += pick.expovariate(1 / 90)
            if pick.random() < 0.003:
                yield from (Guess(time + 9 * place, client, box.account) for place in range(pick.randrange(3, 31)))

    def _newsletter(self, box: Box, day: int) -> Iterator[Event]:
        """On some days of the week, at ten."""
        readers = 20 + len(box.account) * 7919 % 480
        if day % 7 in ((1,), (1, 4), (0, 2, 4))[readers % 3]:
            for place in range(readers):
                to = f"reader{place}.{box.account.partition('@')[0]}@d{place % 300}.example"
                yield self._mail(box, START + day * DAY + 10 * HOUR + place, box.places["home"], (to,))

    def _device(self, box: Box, day: int) -> Iterator[Event]:
        """At any hour, to one address, now and then once a minute."""
        pick = box.pick
        for hour in range(24):
            for _ in range(_poisson(pick, 60 if pick.random() < 0.01 else 0.5)):
                time = START + day * DAY + (hour + pick.random()) * HOUR
                yield self._mail(box, time, box.places["home"], ("alarm@customer1.example",))

    @staticmethod
    def _mail(box: Box, time: float, client: str, to: tuple[str, ...]) -> Mail:
        made = fates(box.pick, len(to), _DEAD, 0.002, _DEFERRED)
        return Mail(time, box.account, client, box.sender, to, made)

    def _outside(self, day: int) -> Iterator[Event]:
        """Mail from other servers, and guessing: three or four tries an address, from everywhere."""
        pick, midnight = self.pick, START + day * DAY
        servers = [host(seeded(self.name, "server", one), network(pick, block(pick, "DE"))) for one in range(60)]
        for _ in range(900):
            gone = pick.random() < 0.03
            to = f"box{pick.randrange(len(self.boxes))}{'old' if gone else ''}@customer{pick.randrange(40)}.example"
            yield Incoming(midnight + pick.uniform(0, DAY), pick.choice(servers), (to,), int(gone))
        for _ in range(30):
            client, time = _anywhere(pick), midnight + pick.uniform(0, DAY)
            for place in range(1 + _geometric(pick, 2.4)):
                login = f"user{pick.randrange(500)}@customer{pick.randrange(40)}.example"
                yield Guess(time + 11 * place, client, login, NOISE)

    def _attack(self, family: str, begin: float) -> Iterator[Event]:
        pick = seeded(self.name, family, begin)
        clients = [_anywhere(pick) for _ in range(pick.randrange(8, 30))]
        for _ in range(pick.randrange(4, 9) if family == "snowshoe" else 1):
            crime = Crime(pick, self._victims.pop(), len(self.attacks) + 1, begin, clients)
            if pick.random() < 0.3:
                early = begin - pick.random() * ((begin - START) % DAY)
                yield dataclasses.replace(crime.mail(early, _anywhere(pick), (crime.stranger(),)), attack=-crime.number)
            events = sorted(ATTACKS[family](crime), key=attrgetter("time"))
            account = crime.victim.account if isinstance(events[0], Mail) else ""
            self.attacks.append(Attack(crime.number, family, account, events[0].time, events[-1].time))
            yield from events


@dataclass
class Crime:
    """What an attack is made of; a cohort shares `clients`."""

    pick: random.Random
    victim: Box
    number: int
    begin: float
    clients: list[str]

    def __post_init__(self) -> None:
        self.dead = self.pick.uniform(0.2, 0.4)
        self.forged = self.pick.random() < 0.6

    def stranger(self) -> str:
        """Somebody on a list."""
        return f"{self.pick.getrandbits(48):x}@list{self.pick.randrange(900)}.example"

    def contact(self, strangers: float) -> str:
        """One of the victim's own, or a stranger."""
        known = self.victim.book
        return self.stranger() if self.pick.random() < strangers or not known else self.pick.choice(known)

    def mail(self, time: float, client: str, to: tuple[str, ...], dead: float | None = None) -> Mail:
        """One message."""
        sender = f"office{self.pick.randrange(9)}@bank.example" if self.forged else self.victim.sender
        made = fates(self.pick, len(to), self.dead if dead is None else dead, 0.05, 0.05)
        return Mail(time, self.victim.account, client, sender, to, made, self.number)

    def moments(self, hourly: float, hours: float, begin: float | None = None) -> Iterator[float]:
        """At a rate."""
        time = start = self.begin if begin is None else begin
        while (time := time + self.pick.expovariate(hourly / HOUR)) < start + hours * HOUR:
            yield time

    def office(self) -> float:
        """The next working day, at some time in the morning."""
        day = int((self.begin - START) // DAY) + 1
        while day % 7 >= 5:
            day += 1
        return START + day * DAY + self.pick.uniform(8, 11) * HOUR


def _flood(crime: Crime) -> Iterator[Event]:
    """One address, 600 to 6,500 an hour."""
    for time in crime.moments(crime.pick.uniform(600, 6500), 2):
        yield crime.mail(time, crime.clients[0], (crime.stranger(),))


def _fan_out(crime: Crime) -> Iterator[Event]:
    """Up to three addresses, 60 to 120 messages an hour to 50 to 173 recipients."""
    for time in crime.moments(crime.pick.uniform(60, 120), 5):
        to = tuple(crime.stranger() for _ in range(crime.pick.randrange(50, 174)))
        yield crime.mail(time, crime.pick.choice(crime.clients[:3]), to)


def _botnet(crime: Crime) -> Iterator[Event]:
    """Hundreds of addresses all over the world, 40 to 150 an hour."""
    bots = [_anywhere(crime.pick) for _ in range(crime.pick.randrange(200, 401))]
    for time in crime.moments(crime.pick.uniform(40, 150), 20):
        yield crime.mail(time, crime.pick.choice(bots), (crime.stranger(),))


def _snowshoe(crime: Crime) -> Iterator[Event]:
    """2 to 20 an hour, from the cohort's addresses."""
    for time in crime.moments(crime.pick.uniform(2, 20), 40):
        yield crime.mail(time, crime.pick.choice(crime.clients), (crime.stranger(),))


def _lateral(crime: Crime) -> Iterator[Event]:
    """One run of 30 to 1,000 to the victim's own contacts, in office hours, from one or two addresses."""
    crime.forged, time = False, crime.office()
    strangers, gap = crime.pick.uniform(0, 0.1), crime.pick.uniform(4, 90)
    for _ in range(int(30 * (1000 / 30) ** crime.pick.random())):
        time += crime.pick.expovariate(1 / gap)
        yield crime.mail(time, crime.pick.choice(crime.clients[:2]), (crime.contact(strangers),), 0.02)


def _mixed(crime: Crime) -> Iterator[Event]:
    """Every second message to somebody whom the victim knows."""
    crime.forged = False
    for time in crime.moments(crime.pick.uniform(10, 60), 9, crime.office()):
        yield crime.mail(time, crime.clients[0], (crime.contact(0.5),), crime.dead / 2)


def _ramp(crime: Crime) -> Iterator[Event]:
    """Five to twelve on the first day, twice as many on each that follows."""
    first = crime.pick.uniform(5, 12)
    for day in range(7):
        for time in crime.moments(first * 2**day / 24, 24, crime.begin + day * DAY):
            yield crime.mail(time, crime.clients[0], (crime.stranger(),))


def _pauses(crime: Crime) -> Iterator[Event]:
    """15 to 50 within a quarter of an hour, then nothing for some hours, for four days."""
    time = crime.begin
    while time < crime.begin + 4 * DAY:
        for _ in range(crime.pick.randrange(15, 51)):
            yield crime.mail(time + crime.pick.uniform(0, 900), crime.clients[0], (crime.stranger(),))
        time += crime.pick.uniform(4, 16) * HOUR


def _drip(crime: Crime) -> Iterator[Event]:
    """Two an hour for ten days, another address of the victim's country each day."""
    for day in range(10):
        client = host(crime.pick, network(crime.pick, block(crime.pick, LAND)))
        for time in crime.moments(2, 24, crime.begin + day * DAY):
            yield crime.mail(time, client, (crime.stranger(),))


def _harvest(crime: Crime) -> Iterator[Event]:
    """200 to 2,000 unknown recipients an hour, one at a time."""
    for time in crime.moments(crime.pick.uniform(200, 2000), 2):
        yield Incoming(time, crime.clients[0], (f"n{crime.pick.getrandbits(30)}@hosted.example",), 1, crime.number)


ATTACKS: dict[str, Callable[[Crime], Iterator[Event]]] = {
    "flood": _flood,
    "fan-out": _fan_out,
    "botnet": _botnet,
    "snowshoe": _snowshoe,
    "lateral": _lateral,
    "mixed": _mixed,
    "ramp": _ramp,
    "pauses": _pauses,
    "drip": _drip,
    "harvest": _harvest,
}
_ACTS: dict[str, Callable[[Hosted, Box, int], Iterator[Event]]] = {
    "person": Hosted._person,
    "shared": Hosted._person,
    "newsletter": Hosted._newsletter,
    "device": Hosted._device,
}


def _anywhere(pick: random.Random) -> str:
    return host(pick, network(pick, block(pick, pick.choice(lands()))))


def _geometric(pick: random.Random, mean: float) -> int:
    return int(pick.expovariate(math.log(1 + 1 / mean)))


def _poisson(pick: random.Random, mean: float) -> int:
    count, left = 0, mean
    while (left := left - pick.expovariate(1)) > 0:
        count += 1
    return count
