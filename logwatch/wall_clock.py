"""What holds of the wall clock, which somebody may set back at any time."""


def lately(then: float, now: float, seconds: float) -> bool:
    """Whether something that happened at `then` did so less than `seconds` before `now` (seconds of one clock).

    If `then` lies ahead, the clock has been set back since. That counts as long ago: whoever waits for an hour to pass
    would else wait until the clock has come to where it was, perhaps for years.
    """
    return 0 <= now - then < seconds
