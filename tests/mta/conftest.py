"""One Postfix for all tests that do not mind what else is in its log; others start their own, in 0.3 s."""

from collections.abc import Iterator

import pytest

from .postfix import Postfix


@pytest.fixture(scope="session")
def postfix() -> Iterator[Postfix]:
    """Running, and shared: tell your lines by queue id or sender, and leave the settings alone."""
    with Postfix(accounts={"alice": "secret", "user+tag": "secret"}) as instance:
        yield instance
