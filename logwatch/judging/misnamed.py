"""Items of lists that name nobody, though they read well: a login in quotes of its own, an address among accounts.

Whatever a client types may be a login, so none of this is refused; it is told as a note.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from enforce import key
from logwatch.judging.exemptions import Exempted
from logwatch.judging.policy import Exemption, File, Item, Let, Listed, Policy, Scope
from logwatch.judging.remedies import LOOKALIKE_QUOTES

_SHOWN = 60  # characters of a login
_DOUBTS = (
    (rf'["{LOOKALIKE_QUOTES}].*|.*["{LOOKALIKE_QUOTES}]', "its quotes are taken as a part of the name"),
    ("<.*>", "write it without < and >"),
    (r"\*@.*", 'all accounts of a domain are written "@example.com"'),
    (r".*[\s,;].*", "one account a line, with nothing beside it but a comment behind #"),
)


def misnamed(policy: Policy) -> Iterator[tuple[int, str]]:
    """Where (an offset) items name nobody, as far as can be told, and why."""
    for exemption, named in zip(policy.exemptions, policy.exempting, strict=True):
        yield from _of(policy, exemption, exemption.kind, named)
    for rule in policy.rules:
        if rule.scope and rule.name in policy.scopes:
            yield from _of(policy, rule.scope, rule.kind, policy.scopes[rule.name])


def kind_of(let: Let) -> str:
    """Of which kind the items of a list may be meant to be."""
    return "client" if all(isinstance(item, Item) and _is_address(item.text) for item in let.items) else "account"


def _of(policy: Policy, part: Exemption | Scope, kind: str, named: Exempted) -> Iterator[tuple[int, str]]:
    at = part.items[0].at
    if not named.keys and not named.networks and (files := [*_files(policy, part.items)]):
        yield at, f"{', '.join(map(str, files))} names nobody: the list is empty"
    for login in sorted(name.removeprefix("account:") for name in named.keys if kind == "account"):
        if reason := _doubt(login):
            yield at, f'no account will be called "{login[:_SHOWN]}": {reason}'


def _doubt(login: str) -> str:
    """Why a login is likely to be none; empty if it may be one."""
    if _is_address(login.partition("@")[0]):
        return "it is an address; is a client meant?"
    return next((reason for pattern, reason in _DOUBTS if re.fullmatch(pattern, login)), "")


def _files(policy: Policy, items: Iterable[Item | File | Listed]) -> Iterator[File]:
    lists = {let.name: let.items for let in policy.lists}
    for item in items:
        inner = lists.get(item.name, ()) if isinstance(item, Listed) else (item,)
        yield from (one for one in inner if isinstance(one, File))


def _is_address(text: str) -> bool:
    if key.client(text):
        return True
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
