"""What a policy's cap for everybody would have cut in a replay, told to people: it makes no cases."""

from __future__ import annotations

from collections import Counter

from enforce.key import EVERYBODY
from enforce.printable import printable
from logwatch.commands.output import counted, number, times
from logwatch.core import Core, Step
from logwatch.judging.ceiling import Cut
from logwatch.schema import ALWAYS, Span

_NAMED = 5  # accounts


class Cuts:
    """Takes in the steps of a replay; bounded by the number of messages that had more recipients than they might."""

    def __init__(self, core: Core, span: Span = ALWAYS) -> None:
        """`span`: of which only is told."""
        self._ceiling = core.judge.policy.ceiling
        self._span = span
        self._cut: list[Cut] = []
        self._larger: set[str] = set()

    def add(self, step: Step) -> None:
        """One more chunk of the log."""
        self._cut += [cut for cut in step.cut if self._span.holds(cut.time)]
        self._larger |= {cap.key for cap in step.caps} - {EVERYBODY}

    def same(self, other: Cuts) -> bool:
        """Whether nothing is to be told of one that is not told of the other."""
        return (self._ceiling, self._cut, self._larger) == (other._ceiling, other._cut, other._larger)

    def tell(self, name: str = "") -> None:
        """Print the cap, whom it would have cut, and how often; `name`: of the policy, if there are several."""
        if self._ceiling is None:
            if name:
                print(f"\nNo cap for everybody is in {name}.")
            return
        cap = f"The cap of {number(self._ceiling.recipients)} recipients per message ({self._ceiling.mode})"
        larger = f"{counted(len(self._larger), 'account')} with a larger one of their own"
        print(f"\n{cap}{f' in {name}' if name else ''}: {larger}.")
        senders = Counter(cut.key for cut in self._cut)
        beyond = sum(cut.recipients - cut.limit for cut in self._cut)
        print(
            f"It would have cut {counted(len(self._cut), 'message')} of {counted(len(senders), 'account')}, "
            f"{counted(beyond, 'recipient')} of them{', most often of:' if senders else '.'}"
        )
        for key, count in senders.most_common(_NAMED):
            largest = max(cut.recipients for cut in self._cut if cut.key == key)
            print(f"  {printable(key)}: {times(count)}, up to {number(largest)} recipients")
