"""From where somebody writes: home, office, carrier, webmail, a VPN's exit, a hotel; and how these change."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from benchmarks.traffic.places import abroad, block, host, network
from benchmarks.traffic.profile import Profile
from benchmarks.traffic.scene import DAY


@dataclass
class Neighbourhood:
    """What the accounts of a site share: providers, carriers, the office, the webmail server, VPN exits."""

    site: Profile
    providers: list[str]
    carriers: list[str]
    office: str
    webmail: str
    exits: list[str]
    servers: str

    @classmethod
    def of(cls, site: Profile, pick: random.Random) -> Neighbourhood:
        """Three providers of two /16, two carriers, three VPN exits abroad."""
        near = [block(pick, site.land) for _ in range(10)]
        servers = network(pick, near[9])
        exits = [network(pick, block(pick, land)) for land in ("NL", "CH", "US")]
        return cls(site, near[:6], near[6:8], network(pick, near[8]), host(pick, servers), exits, servers)

    def home(self, pick: random.Random) -> str:
        """An address of a provider."""
        return host(pick, network(pick, pick.choice(self.providers)))

    def mobile(self, pick: random.Random) -> str:
        """An address of a carrier's /18."""
        return host(pick, f"{pick.choice(self.carriers)}.{64 + pick.randrange(64)}")


@dataclass
class Origin:
    """One account's addresses."""

    around: Neighbourhood
    pick: random.Random
    _home: str = ""
    _since: int = 0
    _trip: tuple[int, str] = (-1, "")  # last day, network
    _habits: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        site, pick = self.around.site, self.pick
        wanted = {name: getattr(site, name) for name in ("renumbered", "mobile", "office", "webmail", "vpn")}
        self._habits = {name: pick.random() < share for name, share in wanted.items()}
        self._provider = pick.choice(self.around.providers)
        self._six = f"2003:{pick.randrange(1 << 16):x}:{pick.randrange(1 << 16):x}:{pick.randrange(1 << 16):x}"
        self._uses_six = site.land == "DE" and pick.random() < 0.2
        self._renew()

    @property
    def kind(self) -> str:
        """What is special about where this account writes from."""
        return next((name for name in ("vpn", "renumbered", "mobile", "webmail") if self._habits[name]), "settled")

    def turn(self, day: int) -> bool:
        """A new day: perhaps another address, a trip, a move; whether it is on a trip."""
        site, pick = self.around.site, self.pick
        if self._habits["renumbered"] or pick.random() < 1 / 20:
            self._renew()
        if pick.random() < site.moves / 30:
            self._provider = pick.choice(self.around.providers)
            self._renew()
        if day > self._trip[0] and pick.random() < site.trips / 30:
            land = abroad(pick, site.land)
            self._trip = (day + pick.randrange(3, 11), network(pick, block(pick, land)))
        return day <= self._trip[0]

    def client(self, second: float, day: int) -> str:
        """Where a session comes from."""
        pick, used = self.pick, self._habits
        if day <= self._trip[0] and pick.random() < 0.8:
            return host(pick, self._trip[1])
        if used["vpn"] and pick.random() < 0.4:
            return host(pick, pick.choice(self.around.exits))
        if used["webmail"] and pick.random() < 0.4:
            return self.around.webmail
        if used["mobile"] and pick.random() < 0.3:
            return self.around.mobile(pick)
        if used["office"] and day % 7 < 5 and 8 <= second % DAY / 3600 < 18:
            return f"{self.around.office}.{1 + hash_of(self._six) % 200}"
        return self._home

    def _renew(self) -> None:
        if self._uses_six:
            self._home = f"{self._six}:{self.pick.randrange(1 << 16):x}:{self.pick.randrange(1 << 16):x}:0:1"
        else:
            self._home = host(self.pick, network(self.pick, self._provider))


def hash_of(text: str) -> int:
    """A number that is always the same for a text."""
    return sum(place * ord(letter) for place, letter in enumerate(text, 1))
