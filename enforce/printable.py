"""Text that a stranger may have written, made fit for a terminal, a log line, a header or a page."""

from __future__ import annotations


def printable(text: str, hidden: str = "?") -> str:
    """`text` with `hidden` for each character that is not printable: line ends, escapes, what turns writing round."""
    return text if text.isprintable() else "".join(c if c.isprintable() else hidden for c in text)
