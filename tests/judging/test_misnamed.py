"""Items of lists that name nobody are noted, and any other login is left alone."""

from __future__ import annotations

import pytest

from logwatch.judging.contradictions import notes
from logwatch.judging.language import parse


@pytest.mark.parametrize(
    ("items", "note"),
    [
        ("192.0.2.1", 'no account will be called "192.0.2.1": it is an address; is a client meant?'),
        ("2001:db8::/32", 'no account will be called "2001:db8::/32": it is an address; is a client meant?'),
        ("<bob@example.com>", 'no account will be called "<bob@example.com>": write it without < and >'),
        (
            "*@example.com",
            'no account will be called "*@example.com": all accounts of a domain are written "@example.com"',
        ),
        ('"bob OK"', 'no account will be called "bob ok": one account a line, with nothing beside it but a comment'),
        ('"“bob”"', 'no account will be called "“bob”": its quotes are taken as a part of the name'),
        ('file "empty"', 'file "empty" names nobody: the list is empty'),
    ],
)
def test_an_item_that_names_nobody_is_noted(items: str, note: str) -> None:
    rule = "rule r per account: when bytes in 1h > 1 block for 1h"
    policy = parse(f"exempt account in {items} {rule}", read=lambda _: "# nothing yet")
    (problem,) = notes(policy)
    assert problem.at == len("exempt account in ")
    assert problem.sentence.startswith(note)


def test_an_item_that_names_nobody_is_noted_where_a_rule_is_for_it() -> None:
    (problem,) = notes(parse('rule r per account in "192.0.2.1": when bytes in 1h > 1 block for 1h'))
    assert problem.sentence.startswith('no account will be called "192.0.2.1"')


@pytest.mark.parametrize("account", ["bob", "bob@example.com", "@example.com", "o'brien", "DOMAIN\\bob", "33"])
def test_any_other_login_may_be_one(account: str) -> None:
    assert notes(parse(f'exempt account in "{account}" rule r per account: when bytes in 1h > 1 block for 1h')) == []
