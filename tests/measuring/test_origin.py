"""Where addresses are: their networks, and countries from the registries or from a database of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from enforce.config import Config, ConfigError, Log
from logwatch.measuring.origin import mmdb, network, registered
from logwatch.settings import country_of


@pytest.mark.parametrize(
    ("client", "net", "country"),
    [
        ("client:8.8.8.8", "net:8.8.8.0/24", "US"),
        ("client:192.0.2.1", "net:192.0.2.0/24", None),
        ("client:10.1.2.3", "net:10.1.2.0/24", None),
        ("client:2a02:8109::1", "net:2a02:8109::/64", "DE"),
        ("client:unknown", "client:unknown", None),
    ],
)
def test_an_address_has_a_network_and_perhaps_a_country(client: str, net: str, country: str | None) -> None:
    assert network(client) == net
    assert registered(client) == country


def test_countries_come_from_the_registries_unless_said_otherwise() -> None:
    assert country_of(Config()) is registered


def test_countries_may_come_from_a_database_of_ones_own(tmp_path: Path) -> None:
    """A tree with one node: addresses with a first bit of 0 are in DE, the others in no country."""
    found = mmdb(database(tmp_path / "countries.mmdb"))
    assert found("client:8.8.8.8") == "DE"
    assert found("client:192.0.2.1") is None


@pytest.mark.parametrize("content", [None, b"no database"])
def test_a_database_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "countries.mmdb"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}: cannot be read"):
        country_of(Config(log=Log(countries=str(path))))


def database(path: Path) -> Path:
    """MaxMind DB 2.0 (github.com/maxmind/MaxMind-DB), 24-bit records: the left child is the data, the right none."""
    tree = (1 + 16).to_bytes(3) + (1).to_bytes(3)
    country = _map(country=_map(iso_code=_text("DE")))
    facts = _map(
        binary_format_major_version=_uint16(2),
        binary_format_minor_version=_uint16(0),
        build_epoch=b"\x01\x02\x01",
        database_type=_text("Test"),
        ip_version=_uint16(4),
        node_count=b"\xc1\x01",
        record_size=_uint16(24),
        languages=b"\x00\x04",
        description=_map(),
    )
    path.write_bytes(tree + bytes(16) + country + b"\xab\xcd\xefMaxMind.com" + facts)
    return path


def _text(text: str) -> bytes:
    size = len(text)
    return (bytes([0x40 | size]) if size < 29 else bytes([0x40 | 29, size - 29])) + text.encode()


def _uint16(number: int) -> bytes:
    return b"\xa1" + number.to_bytes(1)


def _map(**fields: bytes) -> bytes:
    return bytes([0xE0 | len(fields)]) + b"".join(_text(name) + value for name, value in fields.items())
