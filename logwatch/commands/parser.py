"""An argparse that says of what it does not know which command was asked, and what may have been meant."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any


class Parser(argparse.ArgumentParser):
    """A command's arguments; those of its own commands are such parsers, too."""

    def parse_known_args(  # type: ignore[override]  # argparse's has overloads for namespaces of other types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """What was found; nothing is left over but for whoever has commands, of which the last has seen to it.

        Logs may stand behind options, too, where argparse takes all that may be left out at once.
        """
        found, rest = super().parse_known_args(args, namespace)
        options = [word for word in rest if word.startswith("-") and word != "-"]
        if rest and not options and getattr(found, "log", None) == []:
            found.log, rest = rest, []
        if wrong := options or rest:
            known = (option for action in self._actions for option in action.option_strings)
            self.error(f"unrecognized arguments: {' '.join(wrong)}{_meant(wrong[0].partition('=')[0], known)}")
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += _within(str(value), action) or _meant(str(value), map(str, action.choices or ()))
            raise


def _meant(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _within(word: str, action: argparse.Action) -> str:
    """Where a word that is no command is one of a command's own, as `release` is."""
    commands = action.choices.items() if isinstance(action.choices, dict) else ()
    found = (
        f"; did you mean {name} {word}?"
        for name, command in commands
        for own in command._actions
        if isinstance(own.choices, dict) and word in own.choices
    )
    return next(found, "")
