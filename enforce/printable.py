"""Text that a stranger may have written, made fit for a terminal, a log line, a header or a page."""

from __future__ import annotations


def printable(text: str, hidden: str = "?") -> str:
    """`text` with `hidden` for each character that is not printable: line ends, escapes, what turns writing round."""
    return text if text.isprintable() else "".join(c if c.isprintable() else hidden for c in text)


def escaped(text: str) -> str:
    """`text` with each such character as \\xNN or \\uNNNN, and bytes that are no UTF-8 (PEP 383) as \\xNN."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
