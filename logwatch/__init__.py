"""The thinking half of mailbrake: reads mail logs, measures who sends how much, judges by a policy, and tells.

At a prompt, `import logwatch` gives the functions of `logwatch.prompt`; they load pandas when first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it: every program begins here, and this one is to begin at once
if TYPE_CHECKING:
    from typing import Any

    from logwatch.prompt import compare, history, labels, rates, read, replay, sweep

__all__ = ["compare", "history", "labels", "rates", "read", "replay", "sweep"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'logwatch' has no attribute {name!r}")
    from logwatch import prompt

    return getattr(prompt, name)


def __dir__() -> list[str]:
    """With the functions of `logwatch.prompt`, so that `help(logwatch)` tells of them."""
    return [*globals(), *__all__]
