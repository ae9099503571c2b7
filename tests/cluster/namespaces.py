"""Machines of their own on one machine: network namespaces on a bridge, whose cables can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator

import pytest

NETWORK = "10.213.7"


class CannotError(Exception):
    """Network namespaces cannot be made here: why."""


def _ip(*arguments: str) -> None:
    run = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        raise CannotError(f"ip {' '.join(arguments)}: {run.stderr.strip()}")


class Network:
    """A namespace for each name, with an address, all on one bridge."""

    def __init__(self, names: Iterable[str]) -> None:
        """CannotError where that cannot be."""
        if shutil.which("ip") is None:
            raise CannotError("the program ip is missing (Debian: iproute2)")
        self._mark = f"mb{os.getpid() % 100_000}"
        self._cables: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        try:
            self._make(list(names))
        except CannotError:
            self.close()
            raise

    def _make(self, names: list[str]) -> None:
        _ip("link", "add", self._mark, "type", "bridge")
        _ip("link", "set", self._mark, "up")
        for number, name in enumerate(names, 10):
            space, cable = self.space(name), f"{self._mark}v{number}"
            _ip("netns", "add", space)
            self._cables[name] = cable
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("link", "set", cable, "master", self._mark)
            _ip("link", "set", cable, "up")
            self.addresses[name] = f"{NETWORK}.{number}"
            _ip("-n", space, "addr", "add", f"{self.addresses[name]}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            _ip("-n", space, "link", "set", "lo", "up")

    def space(self, name: str) -> str:
        return f"{self._mark}-{name}"

    def place(self, name: str) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.space(name)]

    def cut(self, name: str) -> None:
        _ip("link", "set", self._cables[name], "down")

    def heal(self, name: str) -> None:
        _ip("link", "set", self._cables[name], "up")

    def close(self) -> None:
        for name in self._cables:
            subprocess.run(["ip", "netns", "del", self.space(name)], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", self._mark], capture_output=True, check=False)


def machines(names: Iterable[str]) -> Iterator[Network]:
    """For a fixture: a network, as long as it is wanted; tests are left out where there can be none."""
    try:
        made = Network(names)
    except CannotError as error:
        pytest.skip(f"network namespaces cannot be made here, so no machine can be cut off: {error}")
    yield made
    made.close()
