"""Which files patterns name: looked for again when a directory has changed, and not when none has."""

import os
from pathlib import Path

from logwatch.reading.follow import Follower
from logwatch.reading.watched_paths import PathPatterns

PAST = 1_790_000_000.0


def settled(*directories: Path) -> None:
    """Some time has passed since these changed."""
    for directory in directories:
        os.utime(directory, (PAST, PAST))


def named(listing: PathPatterns) -> list[str] | None:
    found = listing.look()
    return None if found is None else [Path(path).name for path, _ in found]


def test_a_directory_is_looked_through_again_only_when_it_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    settled(tmp_path)
    listing = PathPatterns([f"{tmp_path}/*.log"])
    assert named(listing) == ["a.log"]
    assert named(listing) is None
    (tmp_path / "a.log").write_text("lines\n")
    assert named(listing) is None
    (tmp_path / "b.log").touch()
    settled(tmp_path)  # to a time like the one before, which never happens: only what differs is noticed
    assert named(listing) is None
    os.utime(tmp_path, (PAST + 1, PAST + 1))
    assert named(listing) == ["a.log", "b.log"]
    assert named(listing) is None


def test_while_a_directory_has_only_just_changed_its_time_proves_nothing(tmp_path: Path) -> None:
    """What comes within the same tick of the file system's clock leaves it as it is."""
    listing = PathPatterns([f"{tmp_path}/*.log"])
    assert named(listing) == []
    (tmp_path / "a.log").touch()
    assert named(listing) == ["a.log"]
    assert named(listing) == ["a.log"]


def test_directories_that_a_pattern_names_count_too_and_those_above_them(tmp_path: Path) -> None:
    hosts, one = tmp_path / "hosts", tmp_path / "hosts" / "one"
    one.mkdir(parents=True)
    settled(hosts, one)
    listing = PathPatterns([f"{hosts}/*/mail.log"])
    assert named(listing) == []
    assert named(listing) is None
    (one / "mail.log").touch()
    assert named(listing) == ["mail.log"]
    settled(hosts, one)
    assert named(listing) == ["mail.log"]
    assert named(listing) is None
    (hosts / "two").mkdir()
    (hosts / "two" / "mail.log").touch()
    assert named(listing) == ["mail.log", "mail.log"]


def test_a_path_is_named_whether_it_is_there_or_not_and_directories_are_no_logs(tmp_path: Path) -> None:
    (tmp_path / "directory.log").mkdir()
    listing = PathPatterns([f"{tmp_path}/absent", f"{tmp_path}/*.log"])
    assert named(listing) == ["absent"]
    assert named(PathPatterns([f"{tmp_path}/absent"])) == ["absent"]


def test_changes_matter_where_logs_are_where_links_lead_and_where_new_directories_would_come(tmp_path: Path) -> None:
    hosts, elsewhere = tmp_path / "hosts", tmp_path / "elsewhere"
    (hosts / "one").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "today").touch()
    (hosts / "one" / "mail.log").symlink_to(elsewhere / "today")
    follower = Follower([f"{hosts}/*/mail.log"], {})
    assert {str(hosts), str(hosts / "one"), str(elsewhere)} <= set(follower.directories())
    follower.close()
