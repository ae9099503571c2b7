"""Where messages go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.telling.receivers import Hook, Mailbox


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as hook:
        yield hook
