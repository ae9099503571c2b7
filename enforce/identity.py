"""User and groups that the milter changes to once its socket is open; looked up first, so that mistakes are seen."""

from __future__ import annotations

import grp
import os
import pwd
from typing import NamedTuple

from enforce.config import Config, ConfigError
from enforce.errors import ReportedError


class Identity(NamedTuple):
    """Numbers of user and groups; None: stay as it is."""

    name: str = ""
    user: int | None = None
    group: int | None = None
    socket_group: int | None = None


def of(config: Config) -> Identity:
    """The identity that a configuration names; ConfigError where there is no such user or group."""
    name = config.milter.user
    user = _user(config, name) if name else None
    group = _group(config, "group", config.milter.group)
    if user and group is None:
        group = user.pw_gid
    socket_group = _group(config, "socket_group", config.milter.socket_group)
    return Identity(name, user.pw_uid if user else None, group, socket_group)


def _user(config: Config, name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(config.file, "[milter] user", f"there is no user {name!r} on this machine") from None


def _group(config: Config, option: str, name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        raise ConfigError(config.file, f"[milter] {option}", f"there is no group {name!r} on this machine") from None


def hand_over(path: str, identity: Identity) -> None:
    """Give the socket at `path` to whom it is for; OSError where that is not ours to do."""
    owner = identity.user if identity.user is not None and os.geteuid() == 0 else -1
    group = identity.socket_group if identity.socket_group is not None else identity.group if owner != -1 else None
    if owner != -1 or group is not None:
        try:
            os.chown(path, owner, -1 if group is None else group)
        except PermissionError:
            raise OSError(
                "the milter's user must be in the group of [milter] socket_group to give it the socket"
            ) from None


def become(identity: Identity) -> str:
    """Become it, for good; what was done, for the log ("" where nothing was asked for). Only root can."""
    if identity.user is None and identity.group is None:
        return ""
    if os.geteuid() != 0:
        return "not started as root: the user stays as it is"
    try:
        _change(identity)
    except PermissionError:
        raise ReportedError(
            "[milter] user, group: root may not become another user here: it lacks CAP_SETUID or CAP_SETGID"
        ) from None
    return f"running as user {os.geteuid()}, group {os.getegid()}"


def _change(identity: Identity) -> None:
    if identity.group is not None:
        os.setgroups([])
        os.setgid(identity.group)
    if identity.user is not None:
        if identity.group is not None:
            os.initgroups(identity.name, identity.group)
        os.setuid(identity.user)
