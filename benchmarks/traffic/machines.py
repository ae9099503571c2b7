"""What sends without being a person: scanners, monitoring, ticket systems, newsletters, list servers."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.traffic.origins import Neighbourhood
from benchmarks.traffic.places import host
from benchmarks.traffic.scene import DAY, START, Event, Mail, fates, seeded


class Machine:
    """A login of a device or a program; `behave` gives its messages of a day as (second, recipients, sender)."""

    def __init__(self, name: str, label: str, around: Neighbourhood, behave: Behaviour, seed: str) -> None:
        self.account = f"{name}@{around.site.name}.example"
        self.label = label
        self.pick = seeded(seed, name)
        self.site = around.site
        self._client = host(self.pick, around.servers)
        self._behave = behave
        self.memory: dict[str, int] = {}

    def day(self, number: int) -> list[Event]:
        """What it sends on a day of the month."""
        return [
            Mail(
                START + number * DAY + second,
                self.account,
                self._client,
                sender or self.account,
                recipients,
                fates(self.pick, len(recipients), dead, 0.002, 0.01),
            )
            for second, recipients, sender, dead in self._behave(self, number)
            if recipients and second < DAY
        ]


Message = tuple[float, tuple[str, ...], str, float]  # second, recipients, sender, share of recipients that are dead
Behaviour = Callable[[Machine, int], list[Message]]


def _person(machine: Machine) -> str:
    return f"user{machine.pick.randrange(machine.site.accounts)}@{machine.site.name}.example"


def scanner(machine: Machine, number: int) -> list[Message]:
    """In office hours, to whoever stands in front of it; also to a customer now and then."""
    pick, count = machine.pick, machine.pick.randrange(10, 60) if number % 7 < 5 else 0
    sent: list[Message] = []
    for _ in range(count):
        to = _person(machine) if pick.random() < 0.95 else f"scan{pick.randrange(4000)}@customers.example"
        sent.append((pick.uniform(8, 18) * 3600, (to,), "", 0.005))
    return sent


def monitor(machine: Machine, number: int) -> list[Message]:
    """Round the clock to two people; a failure brings a storm."""
    pick = machine.pick
    times = [pick.uniform(0, DAY) for _ in range(pick.randrange(20, 80))]
    if number % 9 == 4:
        storm = pick.uniform(0, DAY - 7200)
        times += [storm + 12 * place for place in range(400)]
    return [(time, (f"oncall{pick.randrange(2)}@{machine.site.name}.example",), "", 0.0) for time in times]


def tickets(machine: Machine, number: int) -> list[Message]:
    """Answers to strangers in office hours, some of whom gave a wrong address; then again to the same ones."""
    pick = machine.pick
    sent: list[Message] = []
    for _ in range(pick.randrange(30, 90) if number % 7 < 5 else pick.randrange(3, 12)):
        machine.memory["last"] = machine.memory.get("last", 0) + (pick.random() < 0.5)
        number_of = max(0, machine.memory["last"] - int(pick.expovariate(1 / 20)))
        sent.append((pick.uniform(7, 20) * 3600, (f"asker{number_of}@asks{number_of % 700}.example",), "", 0.02))
    return sent


def newsletter(machine: Machine, number: int) -> list[Message]:
    """One to four runs a week to a growing list, one message for every twenty subscribers."""
    pick, memory = machine.pick, machine.memory
    memory.setdefault("size", int(pick.lognormvariate(5.5, 0.9)))
    memory.setdefault("runs", pick.randrange(1, 5))
    if number % 7 not in (1, 3, 4, 6)[: memory["runs"]]:
        return []
    memory["size"] = int(memory["size"] * pick.uniform(1.0, 1.06)) + 1
    start = pick.uniform(6, 16) * 3600
    readers = [f"reader{one}@reads{one % 900}.example" for one in range(memory["size"])]
    groups = [tuple(readers[place : place + 20]) for place in range(0, len(readers), 20)]
    return [(start + 3 * place, group, "", 0.01) for place, group in enumerate(groups)]


def list_server(machine: Machine, number: int) -> list[Message]:
    """Some posts a day to all members of one of its lists, every one with its own return address."""
    pick = machine.pick
    sent: list[Message] = []
    for _ in range(pick.randrange(0, 14) if number % 7 < 5 else pick.randrange(3)):
        which = pick.randrange(6)
        size = 20 + which * 45 + number // 3
        members = [f"member{which}.{one}@members{one % 300}.example" for one in range(size)]
        when, back = pick.uniform(7, 23) * 3600, f"list{which}-bounces+{pick.randrange(10**6)}@lists.example"
        sent += [
            (when + place, tuple(members[place * 50 : place * 50 + 50]), back, 0.01) for place in range(1 + size // 50)
        ]
    return sent


_KINDS: dict[str, tuple[str, Behaviour]] = {
    "scanners": ("scanner", scanner),
    "monitors": ("monitoring", monitor),
    "tickets": ("ticket system", tickets),
    "newsletters": ("newsletter", newsletter),
    "lists": ("list server", list_server),
}


def machines(around: Neighbourhood, seed: str) -> list[Machine]:
    """Those of a site."""
    return [
        Machine(f"{kind[:-1]}{number}", label, around, behave, seed)
        for kind, (label, behave) in _KINDS.items()
        for number in range(getattr(around.site, kind))
    ]
