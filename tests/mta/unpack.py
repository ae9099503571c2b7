"""Mail programs that are not installed: Debian's packages of them, unpacked into folders of this checkout.

Postfix, Sendmail and Exim cannot be installed side by side, but their files do not conflict. What a program wants
besides (libraries that are missing here, m4, SASL's PLAIN plug-in) comes the same way. Nothing outside of the folder
changes. `python -m tests.mta.unpack` prepares all of them; so does the first test that needs one.
"""

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

CACHE = Path(__file__).parents[2] / ".cache"
TIMEOUT = 300  # seconds, for a slow mirror


class Bundle(NamedTuple):
    """What is unpacked together: the folder's name, the program in it, and packages, the first being the program's."""

    name: str
    program: str
    packages: tuple[str, ...]


SENDMAIL = Bundle(
    "sendmail",
    "usr/libexec/sendmail/sendmail",
    ("sendmail-bin", "sendmail-base", "sendmail-cf", "m4", "libsasl2-modules"),
)
EXIM = Bundle("exim", "usr/sbin/exim4", ("exim4-daemon-light",))
RSPAMD = Bundle("rspamd", "usr/bin/rspamd", ("rspamd",))


def unpacked(bundle: Bundle, cache: Path = CACHE) -> Path:
    """The folder below which the program's `usr` stands, made if need be; RuntimeError says what is wrong."""
    if os.geteuid() != 0:
        raise RuntimeError(f"{bundle.name} can only be run by root: run these tests as root")
    folder = cache / bundle.name
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"no apt-get here to fetch {bundle.name} with: its tests need Debian or a relative")
    cache.mkdir(parents=True, exist_ok=True)
    with alone():
        if not folder.exists():
            _make(folder, bundle)
    return folder


@contextmanager
def alone() -> Iterator[None]:
    """One process fetches at a time: apt locks its lists, and two that need the same would both make it."""
    CACHE.mkdir(exist_ok=True)
    descriptor = os.open(CACHE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(folder: Path, bundle: Bundle) -> None:
    fresh = Path(mkdtemp(prefix="unpacking-", dir=folder.parent))
    try:
        _unpack(fresh, bundle)
        fresh.rename(folder)  # all at once: an interrupted run leaves no half of it
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def libraries(folder: Path) -> str:
    """Where the program's libraries are: a value for LD_LIBRARY_PATH."""
    return ":".join(sorted({str(path.parent) for path in folder.glob("usr/lib/**/*.so*")}))


def _unpack(fresh: Path, bundle: Bundle) -> None:
    for package in _fetched(fresh, bundle):
        _run(bundle, "dpkg", "-x", str(package), str(fresh))
        package.unlink()
    fresh.chmod(0o755)
    (fresh / bundle.program).chmod(0o755)  # set-id programs do not look for libraries where they are told to


def _fetched(folder: Path, bundle: Bundle) -> list[Path]:
    try:
        _download(folder, bundle)
    except RuntimeError:  # no package lists, or old ones
        _run(bundle, "apt-get", "-q", "update")
        _download(folder, bundle)
    return sorted(folder.glob("*.deb"))


def _download(folder: Path, bundle: Bundle) -> None:
    """The packages, and the libraries that would be installed with the program, if it were."""
    planned = _run(bundle, "apt-get", "-s", "install", "--no-install-recommends", bundle.packages[0])
    missing = re.findall(r"^Inst (lib\S+)", planned, re.MULTILINE)
    command = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *{*bundle.packages, *missing})
    _run(bundle, *command, folder=folder)


def _run(bundle: Bundle, *command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    if done.returncode != 0:
        raise RuntimeError(f"{bundle.name} cannot be unpacked: {' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    for wanted in (SENDMAIL, EXIM, RSPAMD):
        unpacked(wanted)
