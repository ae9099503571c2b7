"""Domains that refuse everybody."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from logwatch.measuring.domains import SPAN, Domains

START = 1_764_028_800.0


@dataclass
class Mail:
    """What becomes of mail to one domain, a minute after the other."""

    domains: Domains = field(default_factory=Domains)
    time: float = START

    def refused(self, account: str, *, known: bool = True, to: bytes = b"x@big.example") -> bool:
        self.time += 60
        return self.domains.excuses(account, to, self.time, refused=True, known=known)

    def taken(self, account: str, *, known: bool = True) -> None:
        self.time += 60
        assert not self.domains.excuses(account, b"y@big.example", self.time, refused=False, known=known)


def test_a_domain_that_refuses_contacts_of_four_accounts_accuses_nobody() -> None:
    """Those of the fifth neither, nor strangers; other domains do as before."""
    mail = Mail()
    assert [mail.refused(who) for who in ("a", "b", "b", "c", "d")] == [False, False, False, False, True]
    assert mail.refused("e")
    assert mail.refused("e", known=False, to=b"Z@BIG.example")
    assert not mail.refused("e", to=b"x@small.example")


@pytest.mark.parametrize(("taken", "excused"), [(7, True), (8, False)])
def test_a_domain_accuses_nobody_only_as_long_as_it_takes_few_others(taken: int, excused: bool) -> None:
    """More than a third of the old contacts; strangers whom it takes are not looked at."""
    mail = Mail()
    mail.refused("a")
    for _ in range(taken):
        mail.taken("somebody")
        mail.taken("somebody", known=False)
    for who in "bc":
        mail.refused(who)
    assert mail.refused("d") == excused


def test_strangers_whom_a_domain_refuses_prove_nothing() -> None:
    mail = Mail()
    assert not any(mail.refused(who, known=False) for who in "abcdefgh")
    assert len(mail.domains.memory) == 0


def test_what_a_domain_refused_hours_ago_proves_nothing() -> None:
    mail = Mail()
    for who in "abc":
        mail.refused(who)
    mail.time += SPAN
    assert not mail.refused("d")
    assert [mail.refused(who) for who in "efg"] == [False, False, True]


def test_a_domain_is_forgotten_after_its_span() -> None:
    mail = Mail()
    mail.refused("a")
    mail.domains.expire(mail.time + SPAN + 1)
    assert len(mail.domains.memory) == 0
