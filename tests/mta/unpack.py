"""A Sendmail that is not installed: Debian's packages of it, unpacked into a folder of this checkout.

Postfix and Sendmail cannot be installed side by side, but their files do not conflict. What Sendmail wants besides
(libraries that are missing here, m4, SASL's PLAIN plug-in) comes the same way. Nothing outside of the folder changes.
`python -m tests.mta.unpack` prepares it; so does the first test that needs it.
"""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

FOLDER = Path(__file__).parents[2] / ".cache" / "sendmail"
PACKAGES = ("sendmail-bin", "sendmail-base", "sendmail-cf", "m4", "libsasl2-modules")
PROGRAM = "usr/libexec/sendmail/sendmail"
TIMEOUT = 300  # seconds, for a slow mirror


def unpacked(folder: Path = FOLDER, packages: tuple[str, ...] = PACKAGES) -> Path:
    """The folder below which Sendmail's `usr` stands, after making it if need be; RuntimeError says what is wrong."""
    if os.geteuid() != 0:
        raise RuntimeError("Sendmail can only be run by root: run these tests as root")
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None:
        raise RuntimeError("no apt-get here to fetch Sendmail with: the tests of Sendmail need Debian or a relative")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(mkdtemp(prefix="unpacking-", dir=folder.parent))
    try:
        _unpack(fresh, packages)
        fresh.rename(folder)  # all at once: an interrupted run leaves no half of it
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _unpack(fresh: Path, packages: tuple[str, ...]) -> None:
    for package in _fetched(fresh, (*packages, *_missing_libraries())):
        _run("dpkg", "-x", str(package), str(fresh), folder=fresh)
        package.unlink()
    fresh.chmod(0o755)
    (fresh / PROGRAM).chmod(0o755)  # set-group-id programs do not look for libraries where they are told to


def _fetched(folder: Path, packages: tuple[str, ...]) -> list[Path]:
    download = ("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages)
    try:
        _run(*download, folder=folder)
    except RuntimeError:  # no package lists, or old ones
        _run("apt-get", "-q", "update", folder=folder)
        _run(*download, folder=folder)
    return sorted(folder.glob("*.deb"))


def _missing_libraries() -> list[str]:
    wanted = _run("apt-cache", "depends", "--no-recommends", "--no-suggests", "--no-conflicts", "sendmail-bin")
    names = [line.split()[-1] for line in wanted.splitlines() if "Depends: lib" in line]
    return [name for name in names if not _installed(name)]


def _installed(package: str) -> bool:
    status = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Status}", package], capture_output=True, text=True, check=False
    )
    return status.stdout.startswith("install ok")


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    if done.returncode != 0:
        raise RuntimeError(f"Sendmail cannot be unpacked: {' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    unpacked()
