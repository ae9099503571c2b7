"""The policy reference: its examples are policies, and nothing of the language is missing from it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from logwatch.judging.exemptions import KINDS as EXEMPTIBLE
from logwatch.judging.grammar import STATEMENTS
from logwatch.judging.language import parse
from logwatch.judging.policy import MODES, UNITS
from logwatch.schema import ACTIONS, KINDS, MOMENTS, SIGNALS

MANUAL = (Path(__file__).parents[2] / "docs/policy.md").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^ {4,}.*\n(?:\n(?= {4}))?)+", MANUAL, re.MULTILINE)]
_BEGINS = re.compile("let|rule|exempt|price|score")
POLICIES = [block for block in BLOCKS if _BEGINS.match(block) and not re.search(r"[A-Z]{4}", block)]


@pytest.mark.parametrize("block", POLICIES, ids=lambda block: block.split("\n")[0])
def test_every_example_of_the_manual_is_a_policy(block: str) -> None:
    assert parse(block, read=lambda _: "").rules or not re.search("^rule", block, re.MULTILINE)


def test_the_manual_has_examples() -> None:
    assert len(POLICIES) >= 3


@pytest.mark.parametrize("word", [*KINDS, *ACTIONS, *MODES, *UNITS, *SIGNALS, *MOMENTS, *EXEMPTIBLE, "usual"])
def test_every_word_is_in_the_manual(word: str) -> None:
    assert re.search(rf"`[^`]*\b{word}\b[^`]*`", MANUAL)


@pytest.mark.parametrize("word", [*STATEMENTS, "while", "doubling to", "file", "per", "when", "of ("])
def test_every_statement_is_in_the_manual(word: str) -> None:
    assert word in MANUAL
