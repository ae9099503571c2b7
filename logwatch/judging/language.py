"""Reads the text of a policy: a Policy, or a PolicyError that says where, what was expected, and what was found.

`parse` is pure; `load` reads the policy and the files that it names. Whatever the text, nothing else is raised.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyparsing as pp

from enforce import key
from enforce.errors import ReportedError
from logwatch.judging import reputation
from logwatch.judging.dnsbl import Dnsbl
from logwatch.judging.exemptions import Entry, Naming, entry, gather, together
from logwatch.judging.grammar import WORDS, Mode, grammar
from logwatch.judging.policy import (
    ENFORCE,
    Ceiling,
    Exemption,
    File,
    Guard,
    Item,
    Let,
    Listed,
    Policy,
    Price,
    Rule,
    Score,
    quoted,
)
from logwatch.judging.remedies import remedy
from logwatch.judging.reputation import Scored
from logwatch.judging.words import nearest, refuse
from logwatch.schema import DEFAULT_CAP, SIGNALS

SHIPPED = Path(__file__).parent.parent / "data" / "default.policy"

Reader = Callable[[Path], str]

_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_WORD = re.compile(r'"[^"\n]*"?|(?:[\w.@/+×-]|:(?=[\w:]))+|[<>=!]+|.', re.DOTALL)
_COMMENT = re.compile(r"(?:^|\s)#.*")
_DIGITS = 16  # of the digest of a list
_LONGEST = 60  # characters of a word shown in a message


class PolicyError(ReportedError):
    """A policy that cannot be used: file, line and column (0: of no one line), what is wrong there, and a remedy."""

    status = 2

    def __init__(self, file: str, line: int, column: int, problem: str) -> None:
        self.file, self.line, self.column, self.problem = file, line, column, _printable(problem)
        place = ":".join(str(part) for part in (file, line, column) if part)
        super().__init__(f"{place}: {self.problem}")


class UnreadableError(PolicyError):
    """A policy's own file cannot be opened; `why`."""

    def __init__(self, file: str, why: str) -> None:
        self.why = why
        super().__init__(file, 0, 0, f"cannot be read: {why}")


def _printable(text: str) -> str:
    """Text that may quote what stands in a file, fit for a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of an offset in a policy's text."""
    return pp.lineno(at, text), at - text.rfind("\n", 0, at)


def _unread(path: Path) -> str:
    raise OSError(f"only load() reads files, not {path}")


def from_disk(path: Path) -> str:
    """What a file holds; OSError or ValueError if it cannot be read."""
    return path.read_text(encoding="utf-8-sig")


def parse(
    text: str,
    file: str = "policy",
    *,
    signals: Collection[str] = tuple(SIGNALS),
    account: Naming = key.account,
    read: Reader = _unread,
) -> Policy:
    """The policy in `text`; PolicyError if it is none.

    `file` names it in messages, and lists in files are looked for beside it, with `read`. `account` makes the key of
    a login, as the site's default realm and case folding want it.
    """
    try:
        policy = _assembled(text, grammar(tuple(signals)).parse_string(text))
        return _resolved(_Reading(policy, text, Path(file).parent, account, read))
    except pp.ParseBaseException as error:
        raise _explained(error, text, file) from None
    except RecursionError:  # the caller stands so deep in its own stack that even a bounded parser finds no room
        raise PolicyError(file, 1, 1, "no room on the stack to read this policy") from None


def load(
    path: str | Path = SHIPPED,
    *,
    default_realm: str = "",
    keep_case: bool = False,
    signals: Collection[str] = tuple(SIGNALS),
    read_text: Reader = from_disk,
) -> Policy:
    """The policy in a file, with the lists it names; PolicyError if it, or a list, cannot be read or used."""
    try:
        text = read_text(Path(path))
    except UnicodeDecodeError as error:
        raise PolicyError(str(path), *_where(error), f"cannot be read: {_reason(error)}") from None
    except (OSError, ValueError) as error:
        raise UnreadableError(str(path), _reason(error)) from None
    account = partial(key.account, default_realm=default_realm, keep_case=keep_case)
    digests: dict[str, str] = {}

    def noted(file: Path) -> str:
        content = read_text(file)
        digests[str(file)] = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
        return content

    return replace(parse(text, str(path), signals=signals, account=account, read=noted), digests=digests)


def _assembled(text: str, statements: Iterable[object]) -> Policy:
    """One Policy of what the grammar found; names must be unique, and those of lists known."""
    found = list(statements)
    rules = tuple(one for one in found if isinstance(one, Rule))
    lists = tuple(one for one in found if isinstance(one, Let))
    exemptions = tuple(one for one in found if isinstance(one, Exemption))
    _unique(text, "rule", rules)
    _unique(text, "list", lists)
    prices = tuple(one for one in found if isinstance(one, Price))
    scores = tuple(one for one in found if isinstance(one, Score))
    _priced_once(text, prices)
    ceilings = [one for one in found if isinstance(one, Ceiling)]
    _capped_once(text, ceilings, rules)
    guards = [one for one in found if isinstance(one, Guard)]
    for again in guards[1:]:
        refuse(text, again.at, f"a guard stands in line {pp.lineno(guards[0].at, text)} already")
    named = [item for exemption in exemptions for item in exemption.items]
    named += [item for score in scores for item in score.items if not isinstance(item, Dnsbl)]
    named += [item for rule in rules if rule.scope for item in rule.scope.items]
    _defined(text, lists, named)
    mode = next((one.mode for one in found if isinstance(one, Mode)), ENFORCE)
    ceiling, guard = next(iter(ceilings), None), next(iter(guards), Guard())
    return Policy(rules, exemptions, lists, mode, prices, scores, ceiling, guard)


def _resolved(reading: _Reading) -> Policy:
    """The policy with the keys that its exemptions and scopes name."""
    policy = reading.policy
    exempting = tuple(
        gather(reading.entries((exemption.kind, item) for item in exemption.items)) for exemption in policy.exemptions
    )
    scopes = {rule.name: [(rule.kind, item) for item in rule.scope.items] for rule in policy.rules if rule.scope}
    return replace(
        policy,
        exempted=together(exempting),
        exempting=exempting,
        scored=tuple(reading.scored()),
        scopes={name: gather(reading.entries(named)) for name, named in scopes.items()},
    )


def _capped_once(text: str, ceilings: list[Ceiling], rules: Iterable[Rule]) -> None:
    for again in ceilings[1:]:
        refuse(text, again.at, f"a cap per account stands in line {pp.lineno(ceilings[0].at, text)} already")
    for rule in rules:
        if rule.name == DEFAULT_CAP:
            refuse(text, rule.at, f'a rule cannot be called "{DEFAULT_CAP}": the cap per account is called so')


def _priced_once(text: str, prices: Iterable[Price]) -> None:
    seen = set[str]()
    for price in prices:
        for country in price.countries:
            if country in seen:
                refuse(text, price.at, f"{country} has a price already")
            seen.add(country)


def _unique(text: str, what: str, named: Iterable[Rule | Let]) -> None:
    first: dict[str, int] = {}
    for one in named:
        if one.name in first:
            line = pp.lineno(first[one.name], text)
            refuse(text, one.at, f'a {what} called "{one.name}" stands in line {line} already')
        first[one.name] = one.at


def _defined(text: str, lists: tuple[Let, ...], items: Iterable[Item | File | Listed]) -> None:
    names = [let.name for let in lists]
    for item in items:
        if isinstance(item, Listed) and item.name not in names:
            remedy = nearest(item.name, names) or f"; an account without a domain is written {quoted(item.name)}"
            refuse(text, item.at, f'no list is called "{item.name}"{remedy}')


Named = tuple[str, Item | File | Listed]  # of a kind


@dataclass(frozen=True)
class _Reading:
    """What is needed to say what items mean: the policy and its text, where files are, how accounts are named."""

    policy: Policy
    text: str
    directory: Path
    account: Naming
    read: Reader

    def entries(self, named: Iterable[Named]) -> Iterator[Entry]:
        """Items with lists and files resolved."""
        for kind, item in self._unlisted(named):
            if isinstance(item, File):
                path = self.directory / item.path
                yield from _filed(kind, path, self._content(item, path), self.account)
            else:
                yield self._meant(kind, item)

    def scored(self) -> Iterator[Scored]:
        """Addresses and networks with their scores."""
        for score in self.policy.scores:
            items = []
            named = (("client", item) for item in score.items if not isinstance(item, Dnsbl))
            for _, item in self._unlisted(named):
                if isinstance(item, File):
                    yield from self._listed(item, score.amount)
                else:
                    items.append(self._meant("client", item))
            if items:
                yield Scored(score.amount, gather(items))

    def _listed(self, item: File, amount: int) -> Iterator[Scored]:
        path = self.directory / item.path
        try:
            yield from reputation.scored(self._content(item, path), amount, self.account)
        except reputation.RowError as error:
            raise PolicyError(str(path), error.row, error.column, str(error)) from None

    def _unlisted(self, named: Iterable[Named]) -> Iterator[tuple[str, Item | File]]:
        lists = {let.name: let.items for let in self.policy.lists}
        for kind, item in named:
            for one in lists[item.name] if isinstance(item, Listed) else (item,):
                yield kind, one

    def _meant(self, kind: str, item: Item) -> Entry:
        try:
            return entry(kind, item.text, self.account)
        except ValueError as error:
            refuse(self.text, item.at, str(error))

    def _content(self, file: File, path: Path) -> str:
        try:
            return self.read(path)
        except (OSError, ValueError) as error:
            beside = "" if Path(file.path).is_absolute() else "; a relative path begins where the policy is"
            refuse(self.text, file.at, f"{path} cannot be read: {_reason(error)}{beside}")


def _filed(kind: str, path: Path, content: str, account: Naming) -> Iterator[Entry]:
    """One entry a line; `#` begins a comment at the start of a line or after a blank."""
    for number, row in enumerate(content.split("\n"), 1):
        item = (_COMMENT.sub("", row) if "#" in row else row).strip()
        if item:
            try:
                yield entry(kind, item, account)
            except ValueError as error:
                raise PolicyError(str(path), number, row.index(item) + 1, str(error)) from None


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return getattr(error, "strerror", None) or str(error)


def _where(error: UnicodeDecodeError) -> tuple[int, int]:
    """Line and column of a byte that is not UTF-8."""
    before = error.object[: error.start].split(b"\n")
    return len(before), len(before[-1]) + 1


def _explained(error: pp.ParseBaseException, text: str, file: str) -> PolicyError:
    blank = _BLANK.match(text, error.loc)
    at = blank.end() if blank else error.loc
    expected = error.msg.removeprefix("Expected ")
    problem = error.msg if expected == error.msg else _contrast(expected, text, at)
    return PolicyError(file, pp.lineno(at, text), at - text.rfind("\n", 0, at), problem)


def _contrast(expected: str, text: str, at: int) -> str:
    word = _WORD.match(text, at)
    if not word:
        return f"expected {expected}, found the end of the file"
    found = word[0].strip('"')[:_LONGEST]
    unclosed = " without a closing quote" if word[0].count('"') == 1 else ""
    meant = remedy(expected, text, at) or nearest(found, WORDS.get(expected, ()))
    return f'expected {expected}, found "{found}"{unclosed}{meant}'
