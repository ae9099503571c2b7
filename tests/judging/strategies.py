"""Policies of every shape, as values: what parse(render(policy)) == policy is tried on."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from enforce import key
from logwatch.judging.conditions import And, AtLeast, Binary, Compare, Condition, Expression, Not, Number, Or, Rate
from logwatch.judging.dnsbl import Dnsbl, read
from logwatch.judging.exemptions import KINDS as EXEMPTIBLE
from logwatch.judging.grammar import NO_LIST_NAMES
from logwatch.judging.policy import (
    ENFORCE,
    MODES,
    OBSERVE,
    OTHERS,
    UNITS,
    WATCHED_ONLY,
    Ceiling,
    Deed,
    Exemption,
    File,
    Item,
    Let,
    Listed,
    Policy,
    Price,
    Rule,
    Scope,
    Score,
    Target,
)
from logwatch.schema import ACTIONS, KINDS, MOMENTS, SIGNALS, USUAL

untimed = settings(deadline=None)  # machines are shared: no property is about time
COMPARISONS = (">", ">=", "<", "<=", "==", "!=")

rates = st.builds(
    Rate, st.sampled_from(tuple(SIGNALS)), st.integers(60, 7 * 86400) | st.sampled_from([600, 3600, 86400])
) | st.sampled_from([Rate(name, 0) for name in MOMENTS])
numbers = st.builds(
    Number, st.integers(0, 10**15 - 1).map(float) | st.decimals(0, 1000, places=3).map(float) | st.just(0.0)
)
expressions: st.SearchStrategy[Expression] = st.recursive(
    rates | numbers, lambda inner: st.builds(Binary, st.sampled_from("+-*/"), inner, inner), max_leaves=5
)


def conditions(comparisons: st.SearchStrategy[Compare]) -> st.SearchStrategy[Condition]:
    """Comparisons joined by and, or, not."""

    def several(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
        votes = parts.flatmap(lambda found: st.builds(AtLeast, st.just(found), st.integers(1, len(found))))
        return st.builds(And, parts) | st.builds(Or, parts) | votes | st.builds(Not, inner)

    return st.recursive(comparisons, several, max_leaves=6)


def _with_usual(rate: Rate, factor: Number, op: str, sign: str) -> Compare:
    return Compare(op, rate, Binary(sign, factor, Rate(USUAL + rate.signal, rate.window_seconds)))


comparisons = st.builds(Compare, st.sampled_from(COMPARISONS), expressions, expressions) | st.builds(
    _with_usual,
    rates.filter(lambda rate: rate.window_seconds > 0),
    numbers,
    st.sampled_from(COMPARISONS),
    st.sampled_from("+-*/"),
)
any_condition = conditions(comparisons).filter(lambda condition: bool(condition.rates()))

names = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
_text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12)
_networks = st.ip_addresses(network="198.51.100.0/24").map(lambda address: f"{address}/32") | st.sampled_from(
    ["192.0.2.0/28", "10.0.0.0/8", "2001:db8::/32", "2001:db8:1:2::/64"]
)
_items: dict[str, st.SearchStrategy[str]] = {
    "account": _text.filter(lambda text: key.account(text) is not None),
    "client": st.ip_addresses().map(str) | _networks,
    "net": st.sampled_from(["192.0.2.0/24", "10.0.0.0/8", "2001:db8::/48", "2001:db8:1:2::/64"]),
    "local": st.integers(0, 99999).map(str),
}


def _lists(kind: str, name: str) -> st.SearchStrategy[Let]:
    item = st.builds(Item, _items[kind]) | st.builds(File, _text)
    return st.builds(Let, st.just(name), st.lists(item, min_size=1, max_size=4).map(tuple))


def _exemptions(kind: str, name: str) -> st.SearchStrategy[Exemption]:
    item = st.builds(Item, _items[kind]) | st.builds(File, _text) | st.just(Listed(name))
    return st.builds(Exemption, st.just(kind), st.lists(item, min_size=1, max_size=4).map(tuple))


deeds = (
    st.sampled_from([Deed(action) for action in ACTIONS if action not in ("throttle", "cap")])
    | st.builds(Deed, st.just("cap"), st.none(), st.integers(1, 10**9 - 1))
    | st.builds(
        Deed,
        st.just("throttle"),
        st.builds(Target, st.integers(1, 10**9 - 1), st.sampled_from(UNITS), st.integers(60, 7 * 86400)),
    )
)


def _scopes(kind: str, lists: list[str]) -> st.SearchStrategy[Scope | None]:
    if kind not in EXEMPTIBLE:
        return st.none()
    items: st.SearchStrategy[Item | File | Listed] = st.builds(Item, _items[kind]) | st.builds(File, _text)
    if lists:
        items |= st.sampled_from(lists).map(Listed)
    return st.none() | st.builds(Scope, st.lists(items, min_size=1, max_size=3).map(tuple), st.booleans())


@st.composite
def _rules(draw: st.DrawFn, name: str, lists: dict[str, str]) -> Rule:
    """`lists`: the kind of each list by its name."""
    kind = draw(st.sampled_from(KINDS))
    mode = OBSERVE if kind in WATCHED_ONLY else draw(st.sampled_from(MODES))
    duration = draw(st.integers(1, 365 * 86400 - 1) | st.sampled_from([60, 3600, 86400]))
    return Rule(
        name,
        kind,
        draw(any_condition),
        draw(deeds),
        duration,
        mode,
        draw(st.integers(1, 100)) if mode == ENFORCE else 100,
        draw(st.none() | any_condition),
        draw(st.none() | st.integers(duration + 1, 365 * 86400)),
        draw(_scopes(kind, [name for name, of in lists.items() if of == kind])),
    )


_prices = st.lists(st.sampled_from(["DE", "AT", "US", OTHERS]), unique=True, max_size=3).flatmap(
    lambda codes: st.tuples(*(st.builds(Price, st.integers(0, 999_999), st.just((code,))) for code in codes))
)


def _scores(lists: list[str]) -> st.SearchStrategy[Score]:
    items: st.SearchStrategy[Item | File | Listed | Dnsbl]
    items = st.builds(Item, _items["client"]) | st.builds(File, _text)
    items |= st.sampled_from(["zen.spamhaus.org", "bl.example=127.0.0.2", "a-b.example=127.[0;2].0.[2..4;9]"]).map(read)
    if lists:
        items |= st.sampled_from(lists).map(Listed)
    return st.builds(Score, st.integers(0, 999_999), st.lists(items, min_size=1, max_size=3).map(tuple))


ceilings = st.builds(
    Ceiling, st.integers(1, 999_999), st.none() | st.sampled_from([1.0, 1.5, 2.0, 999.0]), st.sampled_from(MODES)
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Any policy that the language can say."""
    rule_names = draw(st.lists(names, unique=True, max_size=3))
    list_names = draw(st.lists(names.filter(lambda name: name not in NO_LIST_NAMES), unique=True, max_size=3))
    kinds = [draw(st.sampled_from(EXEMPTIBLE)) for _ in list_names]
    pairs = list(zip(kinds, list_names, strict=True))
    return Policy(
        rules=tuple(draw(_rules(name, dict(zip(list_names, kinds, strict=True)))) for name in rule_names),
        exemptions=tuple(draw(_exemptions(kind, name)) for kind, name in pairs),
        lists=tuple(draw(_lists(kind, name)) for kind, name in pairs),
        mode=draw(st.sampled_from(MODES)),
        prices=draw(_prices),
        ceiling=draw(st.none() | ceilings),
        scores=tuple(draw(st.lists(_scores([n for k, n in pairs if k == "client"]), max_size=2))),
    )
