"""Starts a program: Ctrl-C while it is being imported ends it at once and in silence, as it does any other program.

Python answers SIGINT with KeyboardInterrupt wherever it is. In the midst of imports nobody can catch that, so up to
where the program itself begins, and again after its end, the signal has its default action. Where it is ignored (a
shell starts background jobs so) it stays ignored.
"""

from __future__ import annotations

import importlib
import signal

_INTERRUPTED = 130  # as a shell calls the status of what SIGINT ended


def milter() -> int:
    """`mailbrake-milter`."""
    return program("enforce.main")


def program(module: str) -> int:
    """Import a module and run its `main`; the exit status."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return int(importlib.import_module(module).main())
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = importlib.import_module(module).main
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return int(main())
    except KeyboardInterrupt:
        return _INTERRUPTED
    except RuntimeError as error:  # so Python before 3.12 tells of it where a class is being made
        if isinstance(error.__cause__, KeyboardInterrupt):
            return _INTERRUPTED
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
