"""A milter that runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .daemon import Daemon, Session


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Running, with a table that lists nobody."""
    daemon = Daemon(tmp_path)
    daemon.publish()
    with daemon:
        yield daemon


@pytest.fixture
def session(daemon: Daemon) -> Iterator[Session]:
    with daemon.session() as session:
        assert session.connect() == "continue"
        yield session
