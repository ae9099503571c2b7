"""Other names for persons and machines, so that analysts may work who must not know whom they look at.

Logins and addresses become keyed hashes, local part and domain each for itself: the same person is the same name
everywhere, colleagues share a domain, and nobody without the key can try names out. Internet addresses are cut to their
network (/24, /48). A local user's number stays, his name does not; nor does what a client called its way to log in,
unless that is one. Other text that might name somebody is hashed as a whole, or left out where strangers wrote freely.
Letters are folded to lower case first, as accounts are. What column is not known here is hashed.

A pseudonym is no anonymity: who sends what and when may still tell who it is.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

SHORTEST = 16  # bytes of a key
_BITS = {4: 24, 6: 48}

# Columns of events and fields of decisions that name nobody.
_PLAIN = frozenset(
    """line time host program service daemon pid event client_port relay_port delay dsn status size nrcpt
    stage smtp_code rule mode verdict count action until seq share max_recipients evidence change messages
    recipients against_action against_mode against_rule against_share against_max_recipients""".split()  # noqa: SIM905 - one a line would fill a page
)
_LEFT_OUT = frozenset({"response", "reject_reason"})  # free text, with addresses in it
# RFC 4422's names, as of IANA and of what mail servers offer besides; clients may send anything
_METHODS = re.compile(
    r"(?:PLAIN|LOGIN|EXTERNAL|ANONYMOUS|NTLM|GSSAPI|GSS-SPNEGO|GS2-KRB5|OTP|SKEY|XCLIENT|X?OAUTH(?:2|BEARER|10A)|"
    r"(?:CRAM|DIGEST)-MD5|SCRAM-SHA-(?:1|224|256|384|512)(?:-PLUS)?)(?:[_-](?:SERVER|SASL|LOGIN))?",
    re.IGNORECASE,
)
_WORDS = frozenset({"", "unknown", "none", "local", "virtual"})  # in the place of a name


class Pseudonyms:
    """Names under one key; with the same key the same ones, whenever and wherever."""

    def __init__(self, secret: bytes) -> None:
        """ValueError if the key could be guessed."""
        if len(secret) < SHORTEST:
            raise ValueError(f"the key has {len(secret)} bytes, at least {SHORTEST} are needed")
        self._secret = hashlib.blake2b(secret).digest()
        self._columns: dict[str, Callable[[str], str]] = {
            **dict.fromkeys(("sasl_username", "sasl_sender", "sender", "recipient", "orig_to"), self.address),
            **dict.fromkeys(("client_ip", "relay_ip"), self.network),
            "key": self.key,
            "uid": self.user,
            "sasl_method": self.method,
        }

    def address(self, text: str) -> str:
        """A login or a mail address: local part and domain, each by itself; `user@domain.invalid`."""
        if text in _WORDS:
            return text
        local, at, domain = text.lower().rpartition("@")
        if not at:
            return self._hash("local", domain)
        return f"{self._hash('local', local)}@{self._hash('domain', domain)}.invalid"

    def network(self, text: str) -> str:
        """The first address of an address's network; of what is none, a hash."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return self._other(text)
        bits = _BITS[address.version]
        return str(ipaddress.ip_network(f"{address}/{bits}", strict=False).network_address)

    def user(self, text: str) -> str:
        """A local user: the number, or under another name the name, as Exim and Sendmail have it."""
        return text if text.isascii() and text.isdigit() else self.address(text)

    def method(self, text: str) -> str:
        """A way to log in."""
        return text if not text or _METHODS.fullmatch(text) else self._other(text)

    def key(self, text: str) -> str:
        """A key of the rates frame or of a decision; the number of a local user and the site are nobody's name."""
        kind, colon, name = text.partition(":")
        if kind == "net":
            wide = ipaddress.ip_network(name, strict=False)
            return f"net:{wide.supernet(new_prefix=min(wide.prefixlen, _BITS[wide.version]))}"
        of = {"account": self.address, "client": self.network, "local": self.user}.get(kind)
        return f"{kind}{colon}{of(name)}" if of else text

    def value(self, column: str, value: Any) -> Any:
        """A value of an event or a decision; None where it may not be told."""
        if value is None or column in _PLAIN:
            return value
        return None if column in _LEFT_OUT else self._columns.get(column, self._other)(str(value))

    def columns(self, table: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Events, as columns of readable values."""
        return {name: [self.value(name, value) for value in values] for name, values in table.items()}

    def fields(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A decision, as a JSON object."""
        return {name: self.value(name, value) for name, value in row.items()}

    def _other(self, text: str) -> str:
        return text if text in _WORDS else self._hash("other", text.lower())

    def _hash(self, what: str, text: str) -> str:
        found = hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), key=self._secret, person=what.encode(), digest_size=10
        )
        return base64.b32encode(found.digest()).decode("ascii").lower()
