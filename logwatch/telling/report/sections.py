"""The sections of the page, in their order in ALL; one that has nothing to show gives empty markup."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from logwatch.schema import side
from logwatch.telling.orders import BY_HAND
from logwatch.telling.report import charts
from logwatch.telling.report.findings import Findings, MilterWrote, ReportedCase, RuleWords
from logwatch.telling.report.layout import (
    axis_of,
    badge,
    code,
    counted,
    figure,
    midnight,
    moment,
    note,
    number,
    table,
    times,
)
from logwatch.telling.report.markup import Child, Markup, escaped, named, tag

_CASES = 500  # in the table
_STRIPS = 20  # keys in the picture of cases
_NEAR = 15
_BARS = 120  # in a picture of the traffic
_HOUR, _DAY = 3600, 86400
_SOON = 120  # seconds: what is longer is told in hours and minutes
_WIDTHS = (1, 2, 3, 6, 12, 24, 48, 168, 720)  # hours of a bar

_GONE = "no longer in the policy"
_ORDERED = {name: RuleWords(name, "", "ordered by an operator", "enforce") for name in BY_HAND}

Section = Callable[[Findings], Markup]
_NOTHING = Markup("")


# What was read.


def _summary(found: Findings) -> Markup:
    tiles = [tag("li", tag("b", number(value)), tag("span", label)) for label, value in found.totals.items()]
    return escaped((tag("p", _verdict(found), class_="verdict"), tag("ul", tiles, class_="tiles")))


def _verdict(found: Findings) -> str:
    """The report in two sentences, and one more where operators gave orders."""
    ruled = [case for case in found.cases if case.rule not in BY_HAND]
    ordered = len(found.cases) - len(ruled)
    more = f" {counted(ordered, 'order')} by hand." if ordered else ""
    if not ruled:
        return "No rule held for anybody: everybody was left alone." + more
    senders = len({case.key for case in ruled})
    acted = "acted" if found.live else "would have acted"
    enforced = sum(case.mode == "enforce" for case in ruled)
    said = f"The policy {acted} {times(len(ruled))}, on {counted(senders, 'sender')}. "
    if not enforced:
        return said + "All of its rules that held only observe: nobody was refused." + more
    return said + f"{counted(enforced, 'case')} enforced, {number(len(ruled) - enforced)} only observed." + more


# Rules.


def _rules(found: Findings) -> Markup:
    by_rule: defaultdict[str, list[ReportedCase]] = defaultdict(list)
    for case in found.cases:
        by_rule[case.rule].append(case)
    others = by_rule.keys() - {rule.name for rule in found.rules}
    gone = [_ORDERED[name] if name in _ORDERED else RuleWords(name, "", _GONE, "-") for name in others]
    held = [rule for rule in (*found.rules, *sorted(gone)) if rule.name in by_rule]
    rows = [_rule(rule, by_rule[rule.name]) for rule in held]
    heads = (
        "rule",
        "for each",
        "answer",
        "mode",
        "cases",
        "senders",
        "messages",
        "recipients",
        "refused",
        "taken back",
    )
    explained = (
        "Messages and recipients: accepted while a case stood; where a rule only observes, this is what it would have "
        "stopped. Refused: attempts that the milter answered. Taken back: released or exempted by an operator."
    )
    return escaped(
        (
            (table(heads, rows, heads[4:]), note(explained), _by_day(found, list(by_rule))) if held else None,
            _idle([rule for rule in found.rules if rule.name not in by_rule]),
        )
    )


def _idle(rules: Sequence[RuleWords]) -> Markup:
    """Rules that never held."""
    names = [(tag("strong", rule.name), f" ({rule.deed} per {rule.kind}, {rule.mode})") for rule in rules]
    commas = [[", ", name] if place else name for place, name in enumerate(names)]
    return tag("p", "Never held: ", commas, ".") if names else _NOTHING


def _rule(rule: RuleWords, cases: Sequence[ReportedCase]) -> tuple[Child, ...]:
    return (
        rule.name,
        rule.kind,
        rule.deed,
        badge(rule.mode),
        number(len(cases)),
        number(len({case.key for case in cases})),
        number(sum(case.messages for case in cases)),
        number(sum(case.recipients for case in cases)),
        number(sum(case.refused for case in cases)),
        number(sum(case.released for case in cases)),
    )


def _by_day(found: Findings, rules: list[str]) -> Markup:
    days: defaultdict[datetime, Counter[int]] = defaultdict(Counter)
    for case in found.cases:
        days[midnight(case.begun, found)][rules.index(case.rule)] += 1
    stacks = [
        charts.Stack(
            day.timestamp(),
            f"{day:%a %d %b}: " + ", ".join(f"{rules[rule]} {count}" for rule, count in sorted(counts.items())),
            sorted(counts.items()),
        )
        for day, counts in sorted(days.items())
    ]
    last = midnight(max(found.end, stacks[-1].begin), found) + timedelta(days=1)
    axis = axis_of(midnight(found.begin, found).timestamp(), last.timestamp(), found)
    return figure(
        "New cases by day and rule", charts.legend(rules), charts.bars(stacks, axis, _DAY, "new cases by day")
    )


# Timelines.


def _timelines(found: Findings) -> Markup:
    return escaped((_traffic(found) if found.hours else _NOTHING, _standing(found) if found.cases else _NOTHING))


def _traffic(found: Findings) -> Markup:
    span = (max(found.hours) - min(found.hours) + 1) or 1
    wide = next((width for width in _WIDTHS if span / width <= _BARS), _WIDTHS[-1])
    begin = min(found.hours) // wide * wide
    axis = axis_of(begin * _HOUR, (max(found.hours) + wide) // wide * wide * _HOUR, found)
    each = f"each bar is {counted(wide, 'hour')}"
    names = ["accepted", "refused by the milter"] if any(hour.refused for hour in found.hours.values()) else []
    pictures = [
        figure(
            f"Messages over time ({each})",
            charts.legend(names) if names else None,
            charts.bars(_bars(found, wide, ("messages", "refused")), axis, wide * _HOUR, "messages"),
        ),
        figure(
            f"Recipients over time ({each})",
            charts.bars(_bars(found, wide, ("recipients",)), axis, wide * _HOUR, "recipients", 120),
        ),
    ]
    return escaped(pictures)


def _bars(found: Findings, wide: int, names: tuple[str, ...]) -> list[charts.Stack]:
    sums: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for hour, mail in found.hours.items():
        sums[hour // wide * wide].update({name: getattr(mail, name) for name in names})
    return [
        charts.Stack(
            hour * _HOUR,
            f"{moment(hour * _HOUR, found)}: " + ", ".join(f"{number(sums[hour][name])} {name}" for name in names),
            [(series, sums[hour][name]) for series, name in enumerate(names)],
        )
        for hour in sorted(sums)
    ]


def _standing(found: Findings) -> Markup:
    """When cases stood, for the keys with the most recipients while they did."""
    by_key: defaultdict[str, list[ReportedCase]] = defaultdict(list)
    for case in found.cases:
        by_key[case.key].append(case)
    ranked = sorted(by_key.items(), key=lambda item: -sum(c.recipients + c.refused for c in item[1]))[:_STRIPS]
    axis = axis_of(found.begin, max(found.end, *(case.until for case in found.cases)), found)
    rows = [
        tag("li", tag("span", named(key), class_="who"), charts.strips([_strip(c, found) for c in cases], axis, key))
        for key, cases in ranked
    ]
    more = f" (the {_STRIPS} of {number(len(by_key))} with the most mail)" if len(by_key) > _STRIPS else ""
    kinds = tag("ul", [tag("li", tag("i", class_=mode), mode) for mode in ("observe", "enforce")], class_="legend")
    return figure(f"When cases stood{more}", kinds, tag("ul", rows, class_="strips"), charts.ruler(axis))


def _strip(case: ReportedCase, found: Findings) -> charts.Strip:
    title = f"{case.ref} {case.rule}: {moment(case.begun, found)} to {moment(case.until, found)}"
    return charts.Strip(case.begun, case.until, case.mode, title)


# What was published.


def _published(found: Findings) -> Markup:
    """What milters were told, rule by rule, and how soon."""
    if not found.published:
        return _NOTHING
    rows = [
        (
            put.rule,
            *map(number, (put.added, put.changed, put.ended, put.taken, put.silent)),
            _seconds(median(put.delays)) if put.delays else "-",
            _seconds(max(put.delays)) if put.delays else "-",
        )
        for put in found.published
    ]
    heads = ("rule", "put on", "changed", "ended", "taken off", "run out", "delay", "longest")
    explained = (
        "Taken off: before its end, by an operator or the policy. Run out: no controller renewed it, so its brake came "
        "off. Delay: from the log's stamp, in whole seconds, to the record; half of all were sooner."
    )
    return escaped((table(heads, rows, heads[1:]), note(explained)))


def _seconds(span: float) -> str:
    return f"{span:.0f} s" if span < _SOON else str(timedelta(seconds=round(span)))


# Senders, near misses.


def _senders(found: Findings) -> Markup:
    if not found.senders:
        return _NOTHING
    days = [day for sender in found.senders for day in sender.days]
    hit = {case.key for case in found.cases}
    rows = [
        (
            tag("strong", named(sender.key)) if sender.key in hit else named(sender.key),
            number(sender.messages),
            number(sender.recipients),
            number(sender.unknown),
            charts.spark([sender.days.get(d, 0) for d in range(min(days), max(days) + 1)], f"{sender.key} by day")
            if sender.days
            else "",
        )
        for sender in found.senders
    ]
    heads = ("who", "messages", "recipients", "unknown", "recipients by day")
    return escaped(
        (
            table(heads, rows, heads[1:4]),
            note("Unknown: recipients that bounced as unknown (5.1.1). Bold: had a case."),
        )
    )


def _near(found: Findings) -> Markup:
    if not found.near:
        return _NOTHING
    rows = [
        (
            named(near.key),
            near.rule,
            escaped((f"{int(near.near * 100)}% ", charts.share(near.near, "near"))),
            moment(near.time, found),
            near.because,
        )
        for near in found.near[:_NEAR]
    ]
    return escaped(
        (
            note("Nearest to a limit without reaching it: who would be hit first if the limit were lower."),
            table(("who", "rule", "reached", "when", "with"), rows),
        )
    )


# Guard, loss, agreement.


def _guard(found: Findings) -> Markup:
    what = (
        f"It bounds how many accounts are newly denied within an hour: {found.guard.bound}. What is beyond is only "
        "observed, until there is room or somebody has confirmed it."
    )
    if not found.guard.guarded:
        return escaped((note(what), tag("p", "It was not needed.", class_="good")))
    turned = (
        f"It turned {counted(found.guard.guarded, 'decision')} into observe: too many accounts were hit at once, by a "
        "rule gone wrong or by an attack."
    )
    return escaped((note(what), tag("p", turned, class_="bad")))


def _loss(found: Findings) -> Markup:
    if not any(found.losses.values()):
        return tag("p", "No sign that lines are missing.", class_="good")
    said = [tag("li", what, ": ", tag("b", number(count))) for what, count in found.losses.items() if count]
    return escaped(
        (tag("p", "The log is not complete, so rates may have been too low:", class_="bad"), tag("ul", said))
    )


def _agreement(found: Findings) -> Markup:
    """What the milter made of the decisions: whether observing and enforcing mean the same mail."""
    names = list(dict.fromkeys([*(case.rule for case in found.cases), *(found.said or {})]))
    if not names:
        return _NOTHING
    rows = [_agreed(name, [case for case in found.cases if case.rule == name], found.said) for name in names]
    heads = (
        "rule",
        "observed",
        "messages then",
        "milter would refuse",
        "enforced",
        "refused",
        "messages through",
        "stopped",
    )
    return escaped(
        (
            note(
                "While a case is observed, each message that it would stop should also be named by the milter "
                "(would-…); while it is enforced, attempts should be refused, and what still came through had been "
                "under way, or was let through by a throttle, cap or hold."
            ),
            table(heads, rows, heads[1:]),
        )
    )


def _agreed(name: str, cases: Sequence[ReportedCase], said: Mapping[str, MilterWrote] | None) -> tuple[Child, ...]:
    observed = [case for case in cases if case.mode != "enforce"]
    enforced = [case for case in cases if case.mode == "enforce"]
    wrote = said.get(name, MilterWrote()) if said is not None else None
    refused = wrote.refused if wrote else sum(case.refused for case in enforced)
    through = sum(case.messages for case in enforced)
    return (
        name or "cases that are not among these",
        number(len(observed)),
        number(sum(case.messages for case in observed)),
        "not known" if wrote is None else number(wrote.would),
        number(len(enforced)),
        number(refused),
        number(through),
        f"{refused / (refused + through):.0%}" if enforced and refused + through else "-",
    )


# Cases.


def _cases(found: Findings) -> Markup:
    if not found.cases:
        return _NOTHING
    rows = [_case(case, found) for case in found.cases[:_CASES]]
    heads = ("case", "who", "rule", "answer", "mode", "when", "because", "messages", "recipients", "refused", "then")
    left = len(found.cases) - _CASES
    listed = f"mailbrake review --all --json{found.same}" if found.live else "mailbrake replay --json"
    more = note(("… and ", number(left), " more; ", code(listed), " has all of them.")) if left > 0 else None
    ask = code(f"mailbrake why CASE{found.same}")
    how = note(("Ask ", ask, " for the log lines behind one.")) if found.live else None
    return escaped((how, table(heads, rows, heads[7:10]), more))


def _case(case: ReportedCase, found: Findings) -> tuple[Child, ...]:
    because = [
        tag("div", f"{what}: ", tag("b", number(e["value"])), f", {side(e)} {number(e['threshold'])}")
        for what, e in case.evidence.items()
    ]
    then = [
        f"extended {times(case.extended)}" if case.extended else "",
        "released" if case.released else "",
        case.verdict,
    ]
    return (
        code(case.ref),
        named(case.key),
        case.rule,
        case.action,
        badge(case.mode),
        (tag("div", moment(case.begun, found)), tag("div", f"to {moment(case.until, found)}")),
        because,
        number(case.messages),
        number(case.recipients),
        number(case.refused),
        ", ".join(dict.fromkeys(filter(None, then))),
    )


ALL: tuple[tuple[str, str, Section], ...] = (
    ("summary", "Summary", _summary),
    ("rules", "By rule and day", _rules),
    ("timelines", "Timelines", _timelines),
    ("published", "In the table", _published),
    ("senders", "Top senders", _senders),
    ("near", "Near misses", _near),
    ("guard", "Guard", _guard),
    ("loss", "Log loss", _loss),
    ("agreement", "Observed and enforced", _agreement),
    ("cases", "Cases", _cases),
)
