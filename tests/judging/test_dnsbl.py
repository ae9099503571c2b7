"""DNS block lists as a policy names them: how one is written, and which of its answers count."""

from __future__ import annotations

import pytest

from logwatch.judging import dnsbl
from logwatch.judging.dnsbl import Dnsbl


@pytest.mark.parametrize(
    ("written", "codes", "listed"),
    [
        ("bl.example", "127.0.0.2", True),
        ("bl.example", "127.255.254.2", True),
        ("bl.example", "127.0.0.1", False),  # URIBL's way not to answer
        ("bl.example", "127.255.255.254", False),  # and Spamhaus's
        ("bl.example", "192.0.2.1", False),
        ("bl.example", "", False),
        ("bl.example", "127.0.0.1 127.0.0.2", True),
        ("bl.example=127.0.0.[2..4;10]", "127.0.0.2", True),
        ("bl.example=127.0.0.[2..4;10]", "127.0.0.4", True),
        ("bl.example=127.0.0.[2..4;10]", "127.0.0.5", False),
        ("bl.example=127.0.0.[2..4;10]", "127.0.0.10", True),
        ("bl.example=127.0.0.[2..4;10]", "127.0.1.2", False),
        ("bl.example=127.0.0.[2..4;10]", "127.0.0.9 127.0.0.3", True),
        ("bl.example=127.0.0.[0..255]", "127.0.0.1", False),
    ],
)
def test_which_answers_of_a_block_list_count(written: str, codes: str, listed: bool) -> None:
    """Those that say that an address is listed; of these the ones that the policy names, if it names any."""
    assert dnsbl.read(written).lists(codes.split()) is listed


def test_a_zone_is_written_in_any_way() -> None:
    """With capitals, and with a dot at its end."""
    assert dnsbl.read("BL.Example.=127.0.0.255") == Dnsbl("bl.example", "127.0.0.255")
    with pytest.raises(ValueError, match=r'found "127\.0\.0\.256"'):
        dnsbl.read("bl.example=127.0.0.256")
