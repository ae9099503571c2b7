"""The attack families. Every builder gives the events of one attack in order of time; chance draws its numbers.

flood        one address, 600 to 6,500 messages an hour, a bought list
fan-out      50 to 170 recipients a message, one or two a minute
botnet       one login from hundreds of addresses in some forty countries, 40 to 150 an hour
snowshoe     several logins at once, 2 to 20 an hour each, from the same set of addresses, forged senders
lateral      to the victim's own contacts, in office hours, from a new network, abroad or in the own country
lateral-near the same from the victim's own carrier: no origin gives it away
mixed        replies to old contacts, every second message to a stranger
drip         two an hour for ten days, another address in the own country every day
ramp         from some ten a day, doubling daily
pauses       bursts of 20 to 60 within ten minutes, hours of silence between them
harvest      a client tries recipients until they exist
connections  a client connects 50 to 500 times a minute
guessing     a client tries passwords of many logins
guessing-net the same from the addresses of one network, a few tries each
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.traffic.origins import Neighbourhood
from benchmarks.traffic.people import Person
from benchmarks.traffic.places import abroad, block, host, lands, network
from benchmarks.traffic.scene import DAY, HOUR, START, Event, Guess, Incoming, Knock, Mail, fates, seeded

FORGED = 0.6  # of attackers write under other senders


@dataclass
class Plan:
    """What a builder may draw from."""

    number: int
    pick: random.Random
    around: Neighbourhood
    victim: Person
    begin: float
    tried: float  # when the password was tried out with one message; 0: it was not

    def __post_init__(self) -> None:
        self.forged = self.pick.random() < FORGED
        self.dead = self.pick.uniform(0.1, 0.4)  # of the bought list

    @property
    def land(self) -> str:
        """The site's country."""
        return self.around.site.land

    def stranger(self) -> str:
        """Somebody on a bought list."""
        return f"target{self.pick.getrandbits(40):x}@mx{self.pick.randrange(4000)}.example"

    def contact(self) -> str:
        """Somebody to whom the victim has written; a stranger where there is nobody."""
        known = list(self.victim.book)
        return self.pick.choice(known) if known else self.stranger()

    def mail(self, time: float, client: str, recipients: tuple[str, ...], *, known: bool = False) -> Mail:
        """One message."""
        sender = self.victim.sender
        if self.forged:
            sender = f"{self.pick.choice(('info', 'billing', 'no-reply'))}{self.pick.randrange(3)}@brand.example"
        dead, refused = (0.01, 0.01) if known else (self.dead, 0.05)
        made = fates(self.pick, len(recipients), dead, refused, 0.05)
        return Mail(time, self.victim.account, client, sender, recipients, made, self.number)

    def address(self, *, near: float = 0.3) -> str:
        """One of the attacker's: a hoster's abroad, or somebody's in the victim's country."""
        land = self.land if self.pick.random() < near else abroad(self.pick, self.land)
        return host(self.pick, network(self.pick, block(self.pick, land)))

    def poisson(self, hourly: float, hours: float, begin: float | None = None) -> Iterator[float]:
        """Moments at a rate, for some hours."""
        start = self.begin if begin is None else begin
        time = start
        while (time := time + self.pick.expovariate(hourly / HOUR)) < start + hours * HOUR:
            yield time


Builder = Callable[[Plan], Iterator[Event]]


def flood(plan: Plan) -> Iterator[Event]:
    """See the module."""
    client = plan.address()
    for time in plan.poisson(plan.pick.uniform(600, 6500), 1):
        yield plan.mail(time, client, (plan.stranger(),))


def fan_out(plan: Plan) -> Iterator[Event]:
    """See the module."""
    clients, each = [plan.address() for _ in range(plan.pick.randrange(1, 4))], plan.pick.randrange(50, 170)
    for time in plan.poisson(plan.pick.uniform(60, 120), 4):
        yield plan.mail(time, plan.pick.choice(clients), tuple(plan.stranger() for _ in range(each)))


def botnet(plan: Plan) -> Iterator[Event]:
    """See the module."""
    where = plan.pick.sample(lands(), min(len(lands()), plan.pick.randrange(30, 45)))
    clients = [
        host(plan.pick, network(plan.pick, block(plan.pick, plan.pick.choice(where))))
        for _ in range(plan.pick.randrange(200, 400))
    ]
    for time in plan.poisson(plan.pick.uniform(40, 150), 24):
        yield plan.mail(time, plan.pick.choice(clients), (plan.stranger(),))


def snowshoe(plan: Plan) -> Iterator[Event]:
    """See the module; the cohort shares the addresses, as it shares the moment and the seed for them."""
    shared = seeded("cohort", plan.begin)
    land = abroad(shared, plan.land) if shared.random() < 0.7 else plan.land
    clients = [host(shared, network(shared, block(shared, land))) for _ in range(shared.randrange(5, 40))]
    for time in plan.poisson(plan.pick.uniform(2, 20), 48):
        yield plan.mail(time, plan.pick.choice(clients), (plan.stranger(),))


def _own_contacts(plan: Plan, client: str, strangers: float, hourly: float, hours: float) -> Iterator[Event]:
    for time in plan.poisson(hourly, hours, _office(plan.begin)):
        known = plan.pick.random() >= strangers
        yield plan.mail(time, client, (plan.contact() if known else plan.stranger(),), known=known)


def _office(time: float) -> float:
    """Nine in the morning of the next working day."""
    day = int((time - START) // DAY) + 1
    day += (7 - day % 7) if day % 7 >= 5 else 0
    return START + day * DAY + 9 * HOUR


def lateral(plan: Plan) -> Iterator[Event]:
    """See the module."""
    plan.forged = False
    return _own_contacts(plan, plan.address(), 0.05, plan.pick.uniform(30, 200), 4)


def lateral_near(plan: Plan) -> Iterator[Event]:
    """See the module."""
    plan.forged = False
    return _own_contacts(plan, plan.around.mobile(plan.pick), 0.05, plan.pick.uniform(30, 120), 4)


def mixed(plan: Plan) -> Iterator[Event]:
    """See the module."""
    plan.forged = False
    return _own_contacts(plan, plan.address(near=0.5), 0.5, plan.pick.uniform(15, 80), 8)


def drip(plan: Plan) -> Iterator[Event]:
    """See the module."""
    for day in range(10):
        client = plan.address(near=1.0)
        for time in plan.poisson(2, 24, plan.begin + day * DAY):
            yield plan.mail(time, client, (plan.stranger(),))


def ramp(plan: Plan) -> Iterator[Event]:
    """See the module."""
    client, daily = plan.address(near=0.5), plan.pick.uniform(6, 15)
    for day in range(7):
        for time in plan.poisson(daily * 2**day / 24, 24, plan.begin + day * DAY):
            yield plan.mail(time, client, (plan.stranger(),))


def pauses(plan: Plan) -> Iterator[Event]:
    """See the module."""
    client, start = plan.address(), plan.begin
    while start < plan.begin + 5 * DAY:
        for _ in range(plan.pick.randrange(20, 60)):
            yield plan.mail(start + plan.pick.uniform(0, 600), client, (plan.stranger(),))
        start += plan.pick.uniform(6, 20) * HOUR


def harvest(plan: Plan) -> Iterator[Event]:
    """See the module."""
    client, each = plan.address(near=0.1), plan.pick.randrange(1, 20)
    for time in plan.poisson(plan.pick.uniform(200, 2000) / each, 3):
        tried = tuple(f"name{plan.pick.getrandbits(20)}@{plan.around.site.name}.example" for _ in range(each))
        yield Incoming(time, client, tried, each, plan.number)


def connections(plan: Plan) -> Iterator[Event]:
    """See the module."""
    client = plan.address(near=0.1)
    for time in plan.poisson(plan.pick.uniform(50, 500) * 60, 0.5):
        yield Knock(time, client, plan.number)


def guessing(plan: Plan) -> Iterator[Event]:
    """See the module."""
    client = plan.address(near=0.1)
    for time in plan.poisson(plan.pick.uniform(300, 3600), 2):
        yield Guess(time, client, f"user{plan.pick.randrange(900)}@{plan.around.site.name}.example", plan.number)


def guessing_net(plan: Plan) -> Iterator[Event]:
    """See the module."""
    within = network(plan.pick, block(plan.pick, abroad(plan.pick, plan.land)))
    for time in plan.poisson(plan.pick.uniform(600, 6000), 4):
        login = f"user{plan.pick.randrange(900)}@{plan.around.site.name}.example"
        yield Guess(time, host(plan.pick, within), login, plan.number)


ON_ACCOUNTS: dict[str, Builder] = {
    "flood": flood,
    "fan-out": fan_out,
    "botnet": botnet,
    "snowshoe": snowshoe,
    "lateral": lateral,
    "lateral-near": lateral_near,
    "mixed": mixed,
    "ramp": ramp,
    "pauses": pauses,
    "drip": drip,
}
ON_CLIENTS: dict[str, Builder] = {
    "harvest": harvest,
    "connections": connections,
    "guessing": guessing,
    "guessing-net": guessing_net,
}
FAMILIES = {**ON_ACCOUNTS, **ON_CLIENTS}
