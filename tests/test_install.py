"""Installed as a stranger would: the milter alone without pandas, and the thinking half without a compiler."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` would make."""
    target = tmp_path_factory.mktemp("wheel")
    source = target / "source"  # a build leaves its traces where it is made
    for name in ("logwatch", "enforce"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(target),
            str(source),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = target.glob("mailbrake-*.whl")
    return found


def test_the_wheel_holds_both_halves_and_their_data(wheel: Path) -> None:
    """Packages `logwatch` and `enforce` with the shipped policy and the demo's log; no tests."""
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("logwatch/data/default.policy", "logwatch/data/demo.log", "enforce/table/reader.py"):
        assert wanted in names
    assert not [name for name in names if name.startswith(("tests/", "samples/", "benchmarks/"))]


def test_a_source_archive_is_what_a_clone_is(tmp_path: Path) -> None:
    """Units, pages, samples, tests and the Makefile, which the pages name; nothing else that lies about."""
    clone, made = tmp_path / "clone", tmp_path / "made"
    shutil.copytree(ROOT, clone, ignore=_left_behind)
    made.mkdir()
    build = "import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", build, str(made)], cwd=clone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with tarfile.open(next(made.iterdir())) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}
    added = {"PKG-INFO", "setup.cfg"} | {name for name in names if name.startswith("mailbrake.egg-info/")}
    files = {str(path.relative_to(clone)) for path in clone.rglob("*") if path.is_file()} - added
    assert {name for name in names - added if "/" in name} == {name for name in files if "/" in name}
    beside = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "Makefile", "README.md", "pyproject.toml"}
    assert {name for name in names - added if "/" not in name} == beside


def _left_behind(_directory: str, names: list[str]) -> set[str]:
    """What is no part of a clone."""
    hidden = {name for name in names if name.startswith(".") and name not in (".ci", ".gitignore")}
    return hidden | {name for name in names if name in ("__pycache__", "build", "dist", "mailbrake.egg-info")}


def test_the_milter_runs_without_pandas(wheel: Path, tmp_path: Path) -> None:
    """From an environment with nothing but this wheel, lmdb and pymilter: it starts, and says why it cannot listen."""
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    site = next((home / "lib").glob("python*/site-packages"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True)
    # the two packages that the milter needs, as they are installed here: compiling pymilter again would prove nothing
    for name in ("lmdb", "milter"):
        _link(name, site)
    config = tmp_path / "mailbrake.toml"
    config.write_text(f'[state]\ndirectory = "{tmp_path}"\n[milter]\nsocket = "unix:{tmp_path}/none/milter.sock"\n')
    command = "import sys; from enforce.main import main; main(sys.argv[1:]); print(sorted(sys.modules))"
    done = subprocess.run(
        [str(home / "bin" / "python"), "-c", command, "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert f"there is no directory {tmp_path}/none" in done.stderr
    assert "'milter'" in done.stdout
    for heavy in ("pandas", "numpy", "logwatch", "pyparsing", "watchdog"):
        assert f"'{heavy}'" not in done.stdout
    thinking = subprocess.run(
        [str(home / "bin" / "python"), "-m", "logwatch", "status"], capture_output=True, text=True, check=False
    )
    assert (thinking.returncode, thinking.stderr.count("\n")) == (1, 1)
    assert "is not installed: `pip install mailbrake`" in thinking.stderr


def _link(name: str, site: Path) -> None:
    from importlib.util import find_spec

    spec = find_spec(name)
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin)
    if source.name == "__init__.py":
        (site / name).symlink_to(source.parent)
    else:
        (site / source.name).symlink_to(source)
