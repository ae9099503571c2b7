"""The errors that whoever started a program is told of in one sentence, without a traceback."""

from __future__ import annotations


class ReportedError(Exception):
    """Its text says what is wrong and, where it can, what to do; `status`: the exit status of the command it ends."""

    status = 1
