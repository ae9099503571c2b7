"""Prometheus' own checker: the one on PATH, or Debian's, unpacked into a folder of this checkout and not installed.

Installing the package would start a server.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

from tests.mta.unpack import CACHE, alone

FOLDER = CACHE / "prometheus"
PROGRAM = "usr/bin/promtool"
PACKAGES = ("promtool", "prometheus")  # a package of its own since Debian 13, before that in the server's
TIMEOUT = 300  # seconds, for a slow mirror


def promtool(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it."""
    found = shutil.which("promtool") or str(_unpacked() / PROGRAM)
    return subprocess.run([found, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=TIMEOUT)


def _unpacked() -> Path:
    if not FOLDER.exists():
        if shutil.which("apt-get") is None:
            raise RuntimeError(
                "there is no promtool, and no apt-get to fetch it with: put Prometheus' promtool on PATH"
            )
        with alone():
            if not FOLDER.exists():
                _make()
    return FOLDER


def _make() -> None:
    fresh = Path(mkdtemp(prefix="prometheus-", dir=FOLDER.parent))
    _fetch(fresh)
    for package in fresh.glob("*.deb"):
        _run("dpkg", "-x", str(package), str(fresh), folder=fresh)
        package.unlink()
    (fresh / "usr/bin/prometheus").unlink(missing_ok=True)  # 50 MB that nobody needs
    fresh.rename(FOLDER)  # all at once: an interrupted run leaves no half of it


def _fetch(folder: Path) -> None:
    try:
        _download(folder)
    except RuntimeError:  # no package lists, or old ones
        _run("apt-get", "-q", "update", folder=folder)
        _download(folder)


def _download(folder: Path) -> None:
    package, older = (("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name) for name in PACKAGES)
    try:
        _run(*package, folder=folder)
    except RuntimeError:  # not known here
        _run(*older, folder=folder)


def _run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    if done.returncode != 0:
        raise RuntimeError(f"promtool cannot be unpacked: {' '.join(command)}: {done.stderr or done.stdout}")
