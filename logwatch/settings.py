"""What a configuration means to the thinking half: a time zone, a log to follow, a policy, a core."""

from __future__ import annotations

import time
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enforce.config import Config, ConfigError

if TYPE_CHECKING:  # commands that need only the zone must not wait for numpy and the grammar
    from logwatch.core import Core
    from logwatch.judging.policy import Policy
    from logwatch.measuring.origin import Country
    from logwatch.reading.follow import Follower
    from logwatch.reading.journald import Journald


STREAM = "stream"  # the position of a controller in a cluster, which is in no file


def zone_of(config: Config) -> tzinfo | None:
    """The time zone of stamps that carry none; None is the machine's."""
    return zoneinfo.ZoneInfo(config.log.zone) if config.log.zone else None


def follower_of(config: Config, positions: Mapping[str, Mapping[str, Any]]) -> Follower | Journald:
    """What follows the configured log, from the positions that it once gave; {} for a first start."""
    from logwatch.reading.follow import Follower
    from logwatch.reading.journald import NAME, Journald
    from logwatch.reading.log_file import Position

    if config.log.journald:
        return Journald(positions.get(NAME, {}))
    zone = zone_of(config)
    known = {path: Position(**at) for path, at in positions.items() if path not in (NAME, STREAM)}

    def begun(path: str) -> float:
        from logwatch.rerun import start_of  # a gateway that ships its lines unread has no numpy

        return start_of([path], zone, time.time())

    return Follower(config.log.files, known, zone, begun)


def policy_of(config: Config, read_text: Callable[[Path], str] | None = None) -> Policy:
    """The configured policy, or the shipped one; PolicyError if it cannot be used.

    `read_text` reads it and the lists that it names (default: from disk).
    """
    from logwatch.judging import language

    try:
        return language.load(
            config.policy.file or language.SHIPPED,
            default_realm=config.log.default_realm,
            keep_case=config.log.keep_case,
            read_text=read_text or language.from_disk,
        )
    except language.UnreadableError as error:
        if not (line := config.lines.get("policy.file")):
            raise
        problem = (
            f"[policy] file: {Path(error.file).absolute()} cannot be read: {error.why}; check path and permissions"
        )
        raise language.PolicyError(config.file, line, 0, problem) from None


def country_of(config: Config) -> Country:
    """Where addresses are; ConfigError if the configured file cannot be used."""
    from logwatch.measuring import origin

    if not config.log.countries:
        return origin.registered
    try:
        return origin.mmdb(Path(config.log.countries))
    except (OSError, ValueError) as error:
        raise ConfigError(config.log.countries, "", f"cannot be read: {error}") from None


def core_of(config: Config, policy: Policy, start: float, mode: str | None = None) -> Core:
    """A core that remembers nothing yet; `mode` instead of the configuration's cap, `start` as Core takes it."""
    from logwatch.core import Core
    from logwatch.judging.decide import Judge

    return Core(
        Judge(policy, mode or config.policy.mode),
        zone=zone_of(config),
        country=country_of(config),
        default_realm=config.log.default_realm,
        keep_case=config.log.keep_case,
        start=start,
    )
