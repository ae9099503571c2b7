"""Pseudonyms: nothing of the original remains, and who is the same stays the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logwatch.schema import LINE_COLUMNS
from logwatch.telling.pseudonym import Pseudonyms
from tests import maillog

NAMES = Pseudonyms(b"a key that nobody can guess")
ADDRESS = st.emails() | st.text(min_size=1)
PERSONS = ("sasl_username", "sender", "recipient")
POLICY = "rule burst per account: when recipients in 10m > 6 tempfail for 10m\n"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several logins write to several people, from two networks; a bounce, a refusal, a wrong password, a verdict."""
    lines: list[maillog.Timed] = []
    for number in range(6):
        login = f"person{number % 3}@Company.example"
        to = [f"friend{i}@partner{i % 2}.example" for i in range(number % 3 + 2)]
        queue_id = f"4cXq{number}Zz"
        client = f"198.51.{number % 2}.77"
        lines += [(60.0 * number, line) for line in maillog.submission(queue_id, login, to, client=client)]
        lines += [(60.0 * number + 1, maillog.bounced(queue_id, to[0])), (60.0 * number + 2, maillog.removed(queue_id))]
    lines.append((400.0, maillog.refused("2001:db8:77:88::99", "nobody@company.example")))
    lines.append((401.0, maillog.wrong_password("198.51.0.77", "person1@company.example")))
    lines.append((402.0, maillog.verdict("person1@company.example", "K7Q2MD", "burst", client="198.51.1.77")))
    path = tmp_path_factory.mktemp("pseudonyms") / "mail.log"
    path.write_bytes(b"".join(maillog.log(lines)))
    (path.parent / "policy").write_text(POLICY)
    (path.parent / "secret").write_bytes(bytes(range(32)))
    return path


def told(command: str, log: Path, *arguments: str | Path, named: bool = False) -> list[dict[str, object]]:
    """What a command prints, under other names unless `named`."""
    names = [] if named else ["--pseudonyms", log.parent / "secret"]
    given = map(str, [command, log, "--json", *arguments, *names])
    done = subprocess.run([sys.executable, "-m", "logwatch", *given], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


FORBIDDEN = re.compile(r"person\d|company|friend\d|partner\d|nobody|4cXq|\.77\b|77:88|K7Q2MD", re.IGNORECASE)


@pytest.mark.parametrize("command", [("events",), ("rates", "--window", "1h"), ("replay", "--policy")])
def test_nothing_of_the_original_remains(command: tuple[str, ...], log: Path) -> None:
    """No name, domain, queue id, case or whole address, in any column; but as many rows as ever, of events."""
    more = [log.parent / "policy"] if command[0] == "replay" else []
    shown, plain = told(command[0], log, *command[1:], *more), told(command[0], log, *command[1:], *more, named=True)
    assert FORBIDDEN.search(json.dumps(plain))
    assert not FORBIDDEN.search(json.dumps(shown))
    assert shown
    assert command[0] == "rates" or len(shown) == len(plain)


def test_the_same_person_is_the_same_name_in_all_of_them(log: Path) -> None:
    """Events, rates and decisions can be joined; the numbers of each account are its own."""
    accounts = {f"account:{row['sasl_username']}" for row in told("events", log) if "sasl_username" in row}
    rates = {row["key"]: row for row in told("rates", log, "--window", "1h", "--kind", "account")}
    decided = {row["key"] for row in told("replay", log, "--policy", log.parent / "policy")}
    assert accounts == set(rates)
    assert decided and decided < set(rates)
    plain = told("rates", log, "--window", "1h", "--kind", "account", named=True)
    numbers = sorted(tuple(v for k, v in row.items() if k != "key") for row in plain)
    assert numbers == sorted(tuple(v for k, v in row.items() if k != "key") for row in rates.values())


def test_two_rows_share_a_name_where_they_shared_it_before(log: Path) -> None:
    """Two rows share a name exactly where they shared it before, in every column of persons, letters folded."""
    plain, shown = told("events", log, named=True), told("events", log)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for before, after in zip(plain, shown, strict=True):
        for column in PERSONS:
            if column in before:
                found[str(before[column]).lower()].add(str(after[column]))
    assert all(len(names) == 1 for names in found.values())
    assert len({name for names in found.values() for name in names}) == len(found)


def test_addresses_keep_their_network(log: Path) -> None:
    """/24 and /48."""
    clients = {row["client_ip"] for row in told("events", log) if "client_ip" in row}
    assert clients == {"198.51.0.0", "198.51.1.0", "2001:db8:77::"}


@given(ADDRESS, ADDRESS)
def test_addresses_differ_as_they_did(one: str, other: str) -> None:
    """Same local part, same domain, same address: if and only if they were, but for small and capital letters."""
    if ("@" in one) != ("@" in other):
        return  # of a name without a domain, and of a domain, the hashes are of different kinds
    was, now = (one.lower(), other.lower()), (NAMES.address(one), NAMES.address(other))
    for part in (0, 2):
        assert (was[0].rpartition("@")[part] == was[1].rpartition("@")[part]) == (
            now[0].rpartition("@")[part] == now[1].rpartition("@")[part]
        )


@given(ADDRESS)
def test_another_key_gives_other_names(text: str) -> None:
    """So that exports of two sites cannot be joined."""
    other = Pseudonyms(b"a key that nobody else knows")
    assert NAMES.address(text) == Pseudonyms(b"a key that nobody can guess").address(text)
    assert text in ("unknown", "none", "local", "virtual") or NAMES.address(text) != other.address(text)


def test_a_local_user_is_a_number_or_has_another_name() -> None:
    """Exim and Sendmail name him; as an account of that name is named."""
    assert (NAMES.value("uid", "33"), NAMES.key("local:33")) == ("33", "local:33")
    name = NAMES.value("uid", "bob")
    assert name == NAMES.value("sasl_username", "bob") != "bob"
    assert NAMES.key("local:bob") == f"local:{name}"


@pytest.mark.parametrize("method", ["PLAIN", "login", "CRAM-MD5", "SCRAM-SHA-256-PLUS", "XOAUTH2", "plain_server"])
def test_the_sasl_mechanism_is_told(method: str) -> None:
    """By the names that there are."""
    assert NAMES.value("sasl_method", method) == method


@pytest.mark.parametrize("said", ["bob@example.com", "bob", "PLAIN-bob", "cGFzc3dvcmQ="])
def test_what_a_client_said_in_place_of_a_mechanism_is_not_told(said: str) -> None:
    """`AUTH bob@example.com` stands in the log as it was sent."""
    assert "bob" not in NAMES.value("sasl_method", said)
    assert NAMES.value("sasl_method", said) != said


def test_an_unknown_column_is_not_told() -> None:
    """What is added to events later names nobody until somebody says that it may."""
    assert NAMES.value("brand_new", "Bob") not in ("Bob", None)


@pytest.mark.parametrize("column", LINE_COLUMNS)
def test_every_column_of_events_is_hashed_cut_or_known_to_name_nobody(column: str) -> None:
    """A person's address does not come through any column that may hold text of strangers."""
    harmless = {"host", "program", "service", "daemon", "event", "dsn", "status", "stage", "rule"}
    numbers = {
        "line",
        "time",
        "pid",
        "client_port",
        "relay_port",
        "delay",
        "size",
        "nrcpt",
        "smtp_code",
        "count",
    }
    shown = NAMES.value(column, "bob@example.com")
    assert column in harmless | numbers | {"mode", "verdict"} or "bob" not in str(shown)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("events", "LOG", "--pseudonyms", "/nowhere/secret"), 1, "No such file or directory; make one"),
        (("rates", "LOG", "--pseudonyms", "SHORT"), 1, "the key has 5 bytes, at least 16 are needed"),
        (("replay", "LOG", "--pseudonyms", "KEY"), 2, "--pseudonyms needs --json"),
    ],
)
def test_a_key_that_cannot_be_used_is_said_in_a_sentence(
    arguments: tuple[str, ...], status: int, said: str, log: Path, tmp_path: Path
) -> None:
    """In a sentence, with an exit status."""
    (tmp_path / "short").write_text("12345")
    paths = {"LOG": str(log), "SHORT": str(tmp_path / "short"), "KEY": str(log.parent / "secret")}
    command = [sys.executable, "-m", "logwatch", *(paths.get(word, word) for word in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
