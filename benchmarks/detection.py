"""How well a policy tells abused logins from honest ones: on made-up months whose truth is known.

    python -m benchmarks.detection [--policy FILE] [--seeds 21,22] [--simple] [--write docs/detection.md]

Seeds below 20 are for tuning a policy, those from 20 on for reporting. Every month is run with the policy in force
(`closed_loop`). An attack counts as stopped when it was braked and at most a tenth of what it still tried came through.
False alarms are days of accounts on which something was decided against them although nobody abused them by then, by
what it was: mild (throttle, tempfail, cap) or hard (hold, block).
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.closed_loop import ClosedLoop, Made, Outcome, Run
from benchmarks.traffic.attacks import ON_CLIENTS
from benchmarks.traffic.campus import Campus
from benchmarks.traffic.hosted import Hosted
from benchmarks.traffic.month import Month
from benchmarks.traffic.postfix import Writer
from benchmarks.traffic.profile import SITES
from benchmarks.traffic.scattered import Scattered
from benchmarks.traffic.scene import DAY, START
from benchmarks.traffic.sending import TRACE
from benchmarks.traffic.sendmail import SendmailWriter
from logwatch.judging.language import SHIPPED, parse
from logwatch.schema import Decision

OTHERS: dict[str, type[Campus | Hosted]] = {"campus": Campus, "hosted": Hosted, "scattered": Scattered}
HELD_OUT = {
    "campus": "made from another point of view",
    "hosted": "made when the policy was settled",
    "scattered": "nobody has a provider or a past",
}
MILD, HARD = ("throttle", "tempfail", "cap"), ("hold", "block")

SIMPLE = {
    "100 messages an hour": "messages in 1h > 100",
    "1,000 recipients a day": "recipients in 24h > 1000",
    "3 countries or 10 addresses an hour": "countries in 1h > 3 or clients in 1h > 10",
}


@dataclass
class Result:
    """One month under one policy."""

    site: str
    seed: int
    outcomes: list[Outcome]
    account_days: Counter[str] = field(default_factory=Counter)  # by class
    mild: Counter[str] = field(default_factory=Counter)
    hard: Counter[str] = field(default_factory=Counter)
    clients: int = 0  # decisions against clients and networks that did nothing
    wrong: list[str] = field(default_factory=list)


def simple(condition: str) -> str:
    """A policy of one rule."""
    return f"rule simple per account:\n when {condition}\n tempfail for 1h\n"


@dataclass(frozen=True)
class Job:
    """A month of a site under a policy given as text, and what is unusual about it."""

    site: str
    seed: int
    policy: str
    each: int = 1
    accounts: int | None = None
    lag: float = 2.0
    lost: float = 0.0  # share of all lines
    sendmail: bool = False
    first_day: bool = False  # all attacks begin on the log's first day


CONDITIONS: dict[str, dict[str, Any]] = {
    "as above": {},
    "10 s from line to table": {"lag": 10.0},
    "60 s": {"lag": 60.0},
    "300 s": {"lag": 300.0},
    "1 % of all lines lost": {"lost": 0.01},
    "10 % lost": {"lost": 0.1},
    "Sendmail's lines": {"sendmail": True},
}
AT_ONCE = ("flood", "fan-out", "botnet", "snowshoe", "pauses", "mixed", "lateral", *ON_CLIENTS)


def measure(job: Job) -> Result:
    """What comes of it."""
    policy, month = parse(job.policy), _month(job)
    writer = SendmailWriter if job.sendmail else Writer
    return scored(ClosedLoop(month, policy, lag=job.lag, lost=job.lost, writer=writer).run(), job.site, job.seed)


def _month(job: Job) -> Made:
    if job.site in OTHERS:
        return OTHERS[job.site](job.seed, job.accounts or 300, job.each)
    profile = SITES[job.site]
    profile = dataclasses.replace(
        profile, accounts=job.accounts or profile.accounts, filtered=profile.filtered and not job.sendmail
    )
    if job.first_day:
        return Month(profile, job.seed, each=job.each, kinds=AT_ONCE, days=3, begin=(0.1, 0.6))
    return Month(profile, job.seed, each=job.each)


def scored(run: Run, site: str, seed: int) -> Result:
    """What a run is worth."""
    result = Result(site, seed, list(run.outcomes.values()))
    labels = {f"account:{account}": label for account, label in run.month.labels().items()}
    abused = {f"account:{account}": first for account, first in run.abused.items()}
    for key, label in labels.items():
        result.account_days[label] += int((abused.get(key, START + run.month.days * DAY) - START) // DAY)
    seen: set[tuple[str, int, str]] = set()
    refs: set[str] = set()
    for decision in run.decisions:
        day, kind = int((decision.time - START) // DAY), "hard" if decision.action in HARD else "mild"
        old = decision.ref in refs  # that it stands for longer is no new mistake
        refs.add(decision.ref)
        if old or decision.action == "release" or (decision.key, day, kind) in seen:
            continue
        if decision.key in labels and decision.time < abused.get(decision.key, decision.time + 1):
            seen.add((decision.key, day, kind))
            getattr(result, kind)[labels[decision.key]] += 1
            result.wrong.append(f"{site} {seed} day {day} {labels[decision.key]} {_told(decision)}")
    guilty = run.hostile.union(*(outcome.keys for outcome in result.outcomes))
    strangers = {d.key for d in run.decisions if not d.key.startswith("account:") and d.key not in guilty}
    result.clients = len(strangers)
    result.wrong += [f"{site} {seed} {key}" for key in sorted(strangers)]
    return result


def _told(decision: Decision) -> str:
    numbers = ", ".join(f"{name} {one['value']:g}" for name, one in decision.evidence.items())
    return f"{decision.key} {decision.action} {decision.rule}: {numbers}"


def stopped(outcome: Outcome) -> bool:
    """Braked, and at most a tenth of what it still tried came through."""
    return outcome.decided is not None and outcome.through <= 0.1 * outcome.after


def families(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """A row for each family: attacks, stopped, seconds until braked, recipients leaked."""
    by_family: dict[str, list[Outcome]] = defaultdict(list)
    for result in results:
        for outcome in result.outcomes:
            by_family[outcome.attack.family].append(outcome)
    return [_family(name, outcomes) for name, outcomes in by_family.items()]


def _family(name: str, outcomes: list[Outcome]) -> tuple[str, ...]:
    found = [outcome for outcome in outcomes if outcome.decided is not None]
    blocked = sum(outcome.blocked is not None for outcome in outcomes)
    delays = sorted(outcome.decided - outcome.attack.first for outcome in found if outcome.decided is not None)
    beyond = sorted(sum(outcome.delivered[1:]) for outcome in outcomes)
    total = sorted(sum(outcome.delivered) for outcome in outcomes)
    share = sum(total) / max(1, sum(outcome.attempted for outcome in outcomes))
    return (
        name,
        str(len(outcomes)),
        _percent(len(found), len(outcomes)),
        _percent(sum(map(stopped, outcomes)), len(outcomes)),
        _percent(blocked, len(outcomes)),
        f"{span(_median(delays))} / {span(_p95(delays))}" if delays else "–",
        f"{_median(beyond):.0f} / {_p95(beyond):.0f}",
        f"{_median(total):.0f} / {_p95(total):.0f}",
        f"{share:.1%}",
    )


def alarms(results: Iterable[Result]) -> list[tuple[str, ...]]:
    """A row for each class of account, then all together: account-days, false alarms, and per 10,000 account-days."""
    days, mild, hard = Counter[str](), Counter[str](), Counter[str]()
    for result in results:
        days, mild, hard = days + result.account_days, mild + result.mild, hard + result.hard
    rows = [(label, days[label], mild[label], hard[label]) for label in sorted(days, key=lambda one: -days[one])]
    rows.append(("all", days.total(), mild.total(), hard.total()))
    return [
        (label, f"{count:,}", str(soft), f"{soft / count * 1e4:.1f}", str(stiff), f"{stiff / count * 1e4:.2f}")
        for label, count, soft, stiff in rows
        if count
    ]


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


def span(seconds: float) -> str:
    """A length of time for people."""
    size, unit = next(
        (size, unit)
        for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
        if seconds >= size or size == 1
    )
    return f"{seconds / size:.1f} {unit}" if size > 60 else f"{seconds / size:.0f} {unit}"


MACHINES = ("scanner", "newsletter", "list server", "monitoring", "ticket system", "shop")
MARKS = ("<!-- measured -->", "<!-- end of what was measured -->")
FIRST_DAY = "first day"
SMALL = 200  # persons, where many months are measured
OVERVIEW_HEAD = (
    "found",
    "stopped",
    "leak beyond first med / p95",
    "false mild per 10,000",
    "false hard per 10,000",
    "days of machines hit",
)
FAMILY_HEAD = (
    "family",
    "attacks",
    "found",
    "stopped",
    "blocked",
    "delay med / p95",
    "leak beyond first med / p95",
    "leak in all med / p95",
    "got through",
)
ALARM_HEAD = ("class", "account-days", "false mild", "per 10,000", "false hard", "per 10,000")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns of equal width."""
    every = [head, *rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in every
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def overview(results: Sequence[Result]) -> tuple[str, ...]:
    """One line for a policy: attacks found and stopped, median leak, false alarms per 10,000, machines hit."""
    outcomes = [outcome for result in results for outcome in result.outcomes if outcome.attack.account]
    found = sum(outcome.decided is not None for outcome in outcomes)
    leaks = [sum(outcome.delivered[1:]) for outcome in outcomes]
    days = sum(result.account_days.total() for result in results)
    mild, hard = sum(result.mild.total() for result in results), sum(result.hard.total() for result in results)
    machines = sum(result.mild[label] + result.hard[label] for result in results for label in MACHINES)
    return (
        _percent(found, len(outcomes)),
        _percent(sum(map(stopped, outcomes)), len(outcomes)),
        f"{_median(leaks):.0f} / {_p95(leaks):.0f}",
        f"{mild / days * 1e4:.1f}",
        f"{hard / days * 1e4:.2f}",
        str(machines),
    )


def report(results: Mapping[str, Sequence[Result]]) -> str:
    """The tables in Markdown; `results` by part: "" is the policy, the others are named after `_jobs`."""
    own, parts = results[""], []
    for site in dict.fromkeys(result.site for result in own):
        mine = [result for result in own if result.site == site]
        hit = sum(result.clients for result in mine)
        unseen = f": {HELD_OUT[site]}" if site in HELD_OUT else ""
        parts += [f"### Site `{site}`{unseen}", table(FAMILY_HEAD, families(mine)), table(ALARM_HEAD, alarms(mine))]
        parts.append(f"Clients and networks hit that did nothing: {hit}.")
    known = [result for result in own if result.site not in OTHERS]
    others = {name: of for name, of in results.items() if name in SIMPLE}
    if others:
        rows = [(name, *overview(of)) for name, of in {"the policy": known, **others}.items()]
        parts += ["### Beside the simple limits of others", table(("policy", *OVERVIEW_HEAD), rows)]
    conditions = [(name, *overview(results[name])) for name in CONDITIONS if name in results]
    if conditions:
        parts += ["### Lag, lost lines, Sendmail", table(("", *OVERVIEW_HEAD), conditions)]
    if FIRST_DAY in results:
        days = results[FIRST_DAY]
        parts += ["### Installed during an attack", table(FAMILY_HEAD, families(days)), table(ALARM_HEAD, alarms(days))]
    return "\n\n".join(parts)


def _jobs(args: argparse.Namespace) -> dict[str, list[Job]]:
    """What to measure, by part of the report."""
    sites, seeds = args.sites.split(","), [int(seed) for seed in args.seeds.split(",")]
    policy, known = args.policy.read_text(), [site for site in sites if site not in OTHERS]
    own = [Job(site, seed, policy, args.attacks, args.accounts) for seed in seeds for site in sites]
    found = {"": own}
    if args.simple:
        small = [Job(site, seeds[0], policy, args.attacks, args.accounts or SMALL) for site in known]
        found |= {
            name: [dataclasses.replace(job, policy=simple(rule)) for job in small] for name, rule in SIMPLE.items()
        }
    if args.conditions:
        small = [Job(site, seeds[-1], policy, args.attacks, args.accounts or SMALL) for site in known]
        found |= {name: [dataclasses.replace(job, **change) for job in small] for name, change in CONDITIONS.items()}
        first = [Job(site, seed, policy, 2, args.accounts or SMALL, first_day=True) for site in known for seed in seeds]
        found[FIRST_DAY] = first
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--policy", type=Path, default=SHIPPED)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--sites", default=",".join((*SITES, *OTHERS)))
    parser.add_argument("--attacks", type=int, default=1, help="of every family, each month")
    parser.add_argument("--accounts", type=int, help="persons at a site; default: the site's own number")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--simple", action="store_true", help="the simple limits of others too, on the first seed")
    parser.add_argument("--conditions", action="store_true", help="other lags, lost lines, Sendmail, short logs too")
    parser.add_argument("--write", type=Path, help="a document; what stands between its marks is replaced")
    return parser.parse_args()


def main() -> None:
    """Measure, print, and write if asked to."""
    args, began = _arguments(), time.perf_counter()
    with ProcessPoolExecutor(args.workers) as pool:
        done = {name: pool.map(measure, of) for name, of in _jobs(args).items()}
        results = {name: list(of) for name, of in done.items()}
    told = report(results)
    print(told)
    print("\n".join(line for result in results[""] for line in result.wrong), file=sys.stderr)
    if args.write:
        kind = "real (radoslaw)" if TRACE.exists() else "made up"
        line = f"`python -m benchmarks.detection {' '.join(sys.argv[1:])}`, {time.perf_counter() - began:.0f} s, "
        line += (
            f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}); send times: {kind}."
        )
        _replace(args.write, f"{line}\n\n{told}")


def _replace(document: Path, told: str) -> None:
    before, _, rest = document.read_text().partition(MARKS[0])
    document.write_text(f"{before}{MARKS[0]}\n\n{told}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")


if __name__ == "__main__":
    main()
