"""Records for tests, and where they come from when any will do."""

from hypothesis import strategies as st

from enforce.table import ACTIONS, MODES, Record

NOW = 1_000_000.0
FAR = 4e9  # after every test has run


def record(action: str = "tempfail", mode: str = "enforce", ref: str = "4F7K2A", **more: object) -> Record:
    """A record that stands for as long as anyone will run these tests."""
    fields: dict[str, object] = {"until": FAR, "lease": FAR, "rule": "strangers", **more}
    return Record(action=action, mode=mode, ref=ref, **fields)  # type: ignore[arg-type]


def _texts(least: int, most: int, but: str = "") -> st.SearchStrategy[str]:
    visible = st.characters(exclude_categories=["C", "Z"], exclude_characters=but)
    return st.text(visible | st.just(" "), min_size=least, max_size=most)


refs = st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True)
rules = _texts(1, 100, ",")
times = st.one_of(st.just(FAR), st.floats(0, 2 * NOW), st.integers(0, 2_000_000))


def records_of(*modes: str) -> st.SearchStrategy[Record]:
    """Any record that the table may hold, in these modes, or in any."""
    return st.builds(
        Record,
        action=st.sampled_from(ACTIONS),
        mode=st.sampled_from(modes or MODES),
        until=times,
        lease=times,
        ref=refs,
        rule=rules,
        share=st.none() | st.floats(0, 1),
        max_recipients=st.none() | st.integers(0, 10**9),
        text=_texts(0, 400),
    )


keys = st.sampled_from(["account:bob@example.com", "account:*", "client:192.0.2.1", "net:192.0.2.0/24"])
