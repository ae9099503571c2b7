"""Gathers what a report shows: from logs, by a replay, or from the journal of a controller."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from enforce.config import Config
from logwatch.commands import Failure
from logwatch.commands.common import nothing_known, read_whole, same_config, say_unreadable
from logwatch.commands.output import now
from logwatch.commands.replay import core_for, steps_of
from logwatch.commands.summary import said
from logwatch.core import Core
from logwatch.judging.policy import ENFORCE, Policy
from logwatch.reading.loss import KINDS as LOSSES
from logwatch.reading.loss import totals
from logwatch.reading.source import DamageError
from logwatch.schema import Facts
from logwatch.settings import core_of, policy_of, zone_of
from logwatch.telling import orders
from logwatch.telling.journal import Journal
from logwatch.telling.report.findings import Findings, Guard, Nearby, ReportedCase, RuleWords, Sender
from logwatch.telling.report.tally import Tally, cases, put_by_rule
from logwatch.weighing.nearest import Nearest

_DAY = 86400
_SENDERS = 15


def of_logs(logs: list[str], config: Config, args: argparse.Namespace, damage: list[DamageError]) -> Findings:
    """What a policy would have done over logs; `args` as for a replay, and `title`; which were damaged to `damage`."""
    core = core_for(logs, config, args)
    tally, nearest = Tally(zone_of(config)), Nearest(core.judge.policy)
    for step in steps_of(core, logs, damage):
        tally.add(step.events, step.decisions, step.tips)
        nearest.add(step)
    say_unreadable(core.reader.scanner.unreadable)
    if tally.begin is None:
        read_whole(damage)
        raise nothing_known(logs)
    made = cases(tally.decisions, tally.effects)
    near = nearest.best((case.rule, case.key) for case in made)
    return Findings(
        title=args.title,
        sources=logs,
        policy=_policy_name(config),
        live=False,
        made=now(),
        begin=tally.begin,
        end=tally.end,
        totals=_read(core, tally, made),
        rules=_written(core.judge.policy, config if args.config else None),
        cases=made,
        hours=tally.hours(),
        senders=tally.senders(),
        near=[Nearby(key, rule, found.near, found.time, said(found.rates)) for rule, key, found in near],
        guard=Guard(core.judge.guarded, core.judge.policy.guard.bound()),
        losses=_losses(core.facts(), {}),
        said=tally.said() or None,
        zone=zone_of(config),
    )


def of_journal(path: Path, config: Config, title: str) -> Findings:
    """What a controller decided, by its journal, and whom it counted most for within its last day."""
    policy = policy_of(config)
    with Journal.read(path) as journal:
        reviews, facts = journal.reviews()[::-1], journal.facts()
        effects = journal.effects()
        decisions = sorted((*journal.decisions(), *orders.decisions(reviews)), key=lambda decision: decision.time)
        published = put_by_rule(journal.published(), decisions)
        losses, memories = journal.noted("losses") or {}, journal.remembered()
    if facts is None:
        raise Failure(f"{path}: no log line has been read yet")
    core = core_of(config, policy, facts["clock"])
    counted = core.restore(facts, memories)
    made = cases(decisions, effects, reviews)
    return Findings(
        title=title,
        sources=[str(path)],
        policy=_policy_name(config),
        live=True,
        made=now(),
        begin=decisions[0].time if decisions else facts["clock"],
        end=facts["clock"],
        totals={"lines read": facts["lines"], "messages accepted": facts.get("messages", 0), **_made(made)},
        rules=_written(policy, config),
        cases=made,
        senders=_last_day(core) if counted else [],
        published=published,
        guard=Guard(facts["guarded"], policy.guard.bound()),
        losses=_losses(facts, losses),
        same=same_config(config),
        zone=zone_of(config),
    )


def _policy_name(config: Config) -> str:
    return f"Policy: {config.policy.file}" if config.policy.file else "Policy: the one that comes with mailbrake"


def _written(policy: Policy, config: Config | None) -> list[RuleWords]:
    """The rules in their own words, with the mode in which they count."""
    return [RuleWords(rule.name, rule.kind, f"{rule.deed}", _mode(policy, rule, config)) for rule in policy.rules]


def _mode(policy: Policy, rule: Any, config: Config | None) -> str:
    mode = policy.mode_of(rule) if config is None else min(policy.mode_of(rule), config.policy.mode, key=_RANK.index)
    return f"{mode} {rule.percent}%" if mode == ENFORCE and rule.percent < 100 else mode


_RANK = ("observe", "enforce")


def _read(core: Core, tally: Tally, made: Iterable[ReportedCase]) -> dict[str, int]:
    hours = tally.hours().values()
    return {
        "lines read": core.reader.lines,
        "messages": sum(hour.messages for hour in hours),
        "recipients": sum(hour.recipients for hour in hours),
        "accounts that sent": tally.accounts,
        "failed logins": core.events["auth_failure"],
        **_made(made),
        "recipients while a case stood": tally.while_cases_stood.recipients,
    }


def _made(made: Iterable[ReportedCase]) -> dict[str, int]:
    found = list(made)
    return {
        "cases": len(found),
        "senders hit": len({case.key for case in found}),
        "attempts refused": sum(case.refused for case in found),
    }


def _losses(facts: Facts, followed: Mapping[str, int]) -> dict[str, int]:
    return {LOSSES[kind]: count for kind, count in totals(facts, followed).items()}


def _last_day(core: Core) -> list[Sender]:
    """The accounts with the most recipients within a day, as the controller counts them."""
    signals = ("messages", "recipients", "unknown_recipients")
    frame = core.rates.frame(core.reader.clock, [(signal, _DAY) for signal in signals])
    counted = [Sender(str(row[0]), int(row[1]), int(row[2]), int(row[3]), {}) for row in frame.itertuples(name=None)]
    accounts = (sender for sender in counted if sender.key.startswith("account:"))
    return sorted(accounts, key=lambda sender: -sender.recipients)[:_SENDERS]
