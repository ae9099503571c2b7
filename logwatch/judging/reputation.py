"""Files of addresses with a bad name, in the forms in which they are published.

192.0.2.1                     a plain list: an address or a network a line, `#` begins a comment
192.0.2.0/24 ; SBL1           DROP and its like: `;` begins a comment
192.0.2.1,80,seen twice       CSV: a whole number in the second column is the score; the first row may be a heading
$SOA 1h a. b. 0 1h 1h 1h 1h   a zone of rbldnsd (ip4set, ip6trie): what begins with `$` or `:` is about the zone,
192.0.2.0-127 :127.0.0.2:why  `:A:TXT` or a text behind an entry is left out,
192.0.2                       ranges and networks may be shortened,
!192.0.2.7                    and `!` takes an address out again, whatever else of the file holds it
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from logwatch.judging.exemptions import Entry, Exempted, Naming, entry, gather

_NOTHING = Exempted()
_ROW = re.compile(r"""\s*(?P<out>!?)\s*"?(?P<what>[^\s#;$:!,"][^\s#;,"]*|::[^\s#;,"]*)"?(?P<rest>[^\n]*)""")
_SCORE = re.compile(r"""\s*,?\s*"?([0-9]{1,6})"?\s*(?:[;#,].*)?""")
_HEADING = re.compile(r"""\s*"?[A-Za-z_ ]*"?\s*,[^0-9]*""")
_SHORT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){0,3})(?:-([0-9]{1,3}(?:\.[0-9]{1,3}){0,3}))?(?:/([0-9]{1,2}))?")


@dataclass(frozen=True)
class Scored:
    """Addresses that have a score, but for those taken out again."""

    score: int
    inside: Exempted
    outside: Exempted = _NOTHING

    def holds(self, client: str) -> bool:
        """Whether a client's key is among them."""
        return client in self.inside and client not in self.outside


class RowError(ValueError):
    """A row that cannot be read: its number, the column, and what is wrong."""

    def __init__(self, row: int, column: int, problem: str) -> None:
        super().__init__(problem)
        self.row, self.column = row, column


def scored(content: str, score: int, account: Naming) -> Iterator[Scored]:
    """What a file says; `score` is for addresses that have none of their own. RowError where it cannot be read."""
    found: defaultdict[int, list[Entry]] = defaultdict(list)
    outside: list[Entry] = []
    for number, row in enumerate(content.split("\n"), 1):
        read = _ROW.match(row)
        if not read or (number == 1 and _HEADING.fullmatch(row)):
            continue
        own = _SCORE.fullmatch(read["rest"])
        into = outside if read["out"] else found[int(own[1]) if own else score]
        try:
            into.extend(_entries(read["what"], account))
        except ValueError as error:
            raise RowError(number, read.start("what") + 1, str(error)) from None
    without = gather(outside)
    return (Scored(one, gather(entries), without) for one, entries in found.items())


def highest(lists: Iterable[Scored], client: str) -> int:
    """The highest score of a client's key, 0 if it is on no list."""
    return max((one.score for one in lists if one.holds(client)), default=0)


def _entries(written: str, account: Naming) -> Iterable[Entry]:
    """What stands in a row: an address, a network, or several where it is a range."""
    short = _SHORT.fullmatch(written)
    if not short or (written.count(".") == 3 and not short[2]):
        return [entry("client", written, account)]
    first, last, bits = short.groups()
    if "." not in first and not bits:  # the number of a row, more likely than a network of 16 million addresses
        raise ValueError(f'expected an address or network such as 192.0.2.0/28, found "{written}"')
    if last is None:
        length = bits or 8 * (first.count(".") + 1)
        return [entry("client", f"{_filled(first, '0')}/{length}", account)]
    octets = first.split(".")
    begun = octets[: max(0, len(octets) - last.count(".") - 1)]
    low, high = _filled(first, "0"), _filled(".".join([*begun, last]), "255")
    try:
        ends = ipaddress.IPv4Address(low), ipaddress.IPv4Address(high)
        networks = list(ipaddress.summarize_address_range(*ends))
    except ValueError:
        raise ValueError(f'expected a range such as 192.0.2.0-192.0.2.127, found "{written}"') from None
    return chain.from_iterable([entry("client", str(network), account)] for network in networks)


def _filled(written: str, octet: str) -> str:
    octets = written.split(".")
    return ".".join([*octets, *[octet] * (4 - len(octets))])
