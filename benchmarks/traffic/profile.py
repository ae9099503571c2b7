"""The sites: `company` writes mostly to itself and to partners; `provider` mostly to the outside, from anywhere."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A site; shares are of accounts unless said otherwise."""

    name: str
    accounts: int
    land: str
    strangers: float  # of messages: the chance that one goes to somebody new
    internal: float  # of contacts
    renumbered: float  # get another address from their provider every night
    static: float  # keep theirs for some twenty days
    mobile: float  # also write from a carrier's network
    office: float  # write from the office in its hours
    webmail: float  # also write by webmail
    vpn: float  # sometimes come out of a VPN abroad
    trips: float  # start one, a month
    moves: float  # change provider, a month
    bursts: float  # of account-days: an invitation or a circular
    burst_strangers: float  # of its recipients
    alias: float  # write under another address than their login
    dead: float  # of recipients: they do not exist
    filtered: bool  # mail passes a content filter and comes back
    scanners: int
    monitors: int
    tickets: int  # answer strangers all day
    newsletters: int
    lists: int
    incoming: float  # messages from outside, an hour


COMPANY = Profile(
    name="company",
    accounts=500,
    land="DE",
    strangers=0.04,
    internal=0.7,
    renumbered=0.15,
    static=0.85,
    mobile=0.35,
    office=0.6,
    webmail=0.2,
    vpn=0.02,
    trips=0.03,
    moves=0.01,
    bursts=0.001,
    burst_strangers=0.3,
    alias=0.015,
    dead=0.008,
    filtered=False,
    scanners=3,
    monitors=1,
    tickets=1,
    newsletters=3,
    lists=2,
    incoming=40,
)
PROVIDER = Profile(
    name="provider",
    accounts=500,
    land="FR",
    strangers=0.15,
    internal=0.1,
    renumbered=0.6,
    static=0.4,
    mobile=0.5,
    office=0.1,
    webmail=0.3,
    vpn=0.05,
    trips=0.08,
    moves=0.04,
    bursts=0.003,
    burst_strangers=0.6,
    alias=0.06,
    dead=0.015,
    filtered=True,
    scanners=2,
    monitors=2,
    tickets=4,
    newsletters=6,
    lists=3,
    incoming=60,
)
SITES = {site.name: site for site in (COMPANY, PROVIDER)}
