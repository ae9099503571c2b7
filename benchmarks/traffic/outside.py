"""What comes in from outside: other servers' mail, some of it to people who left; strangers who try passwords."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.traffic.places import block, host, lands, network
from benchmarks.traffic.profile import Profile
from benchmarks.traffic.scene import DAY, HOUR, NOISE, START, Event, Guess, Incoming, Knock, seeded


class Outside:
    """Three hundred servers, the first of them large, one that forwards to many who left; and the noise."""

    def __init__(self, site: Profile, seed: str) -> None:
        self._site = site
        self._pick = pick = seeded(seed, "outside")
        self._servers = [host(pick, network(pick, block(pick, pick.choice(lands())))) for _ in range(300)]
        self._stale = self._servers[7]

    def day(self, number: int) -> list[Event]:
        """What comes in on a day of the month."""
        return [*self._mail(number), *self._noise(number)]

    def _moments(self, number: int, hourly: float) -> Iterator[float]:
        time = START + number * DAY
        end = time + DAY
        while (time := time + self._pick.expovariate(hourly / HOUR)) < end:
            yield time

    def _mail(self, number: int) -> Iterator[Event]:
        pick, site = self._pick, self._site
        for time in self._moments(number, site.incoming):
            server = self._servers[int(pick.random() ** 3 * len(self._servers))]
            gone = pick.random() < (0.4 if server == self._stale else 0.02)
            to = f"user{pick.randrange(site.accounts)}{'x' if gone else ''}@{site.name}.example"
            yield Incoming(time, server, (to,), int(gone))

    def _noise(self, number: int) -> Iterator[Event]:
        """Some three tries from each address, from everywhere; and those who only look who is there."""
        pick, site = self._pick, self._site
        for time in self._moments(number, 3):
            client = host(pick, network(pick, block(pick, pick.choice(lands()))))
            for place in range(int(pick.expovariate(1 / 3.4)) + 1):
                known = pick.random() < 0.2
                login = f"user{pick.randrange(site.accounts)}@{site.name}.example" if known else "admin"
                yield Guess(time + 7 * place, client, login, NOISE)
        for time in self._moments(number, 4):
            yield Knock(time, host(pick, network(pick, block(pick, pick.choice(lands())))), NOISE)
