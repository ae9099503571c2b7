"""The milter as it runs: a process, a socket, the milter protocol, and every way in which mail must flow."""

import contextlib
import grp
import json
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest
from miltertest import constants

from enforce import key
from enforce.milter import Doubts
from enforce.notify import Notifier
from enforce.syslog import Outlet, Syslog
from enforce.table import Writer

from .daemon import ROOT, Daemon, Session, wait_until
from .records import record

FREE = "account:free@example.com"
TEMPFAIL = "450 4.7.1 Too much mail from this account, try again later (case 4F7K2A)"
BLOCK = "550 5.7.1 Sending is blocked for this account (case 4F7K2A)"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Running, with a table that lists nobody."""
    daemon = Daemon(tmp_path)
    daemon.publish()
    with daemon:
        yield daemon


@pytest.fixture
def session(daemon: Daemon) -> Iterator[Session]:
    with daemon.session() as session:
        assert session.connect() == "continue"
        yield session


def verdict(action: str, mode: str = "enforce", login: str = "bob") -> str:
    return (
        f"verdict: {action}, mode={mode}, stage=MAIL, ref=4F7K2A, rule=strangers, key=account, "
        f"client_ip=192.0.2.1, sasl_username={login}"
    )


# Verdicts


def test_whoever_is_not_listed_is_accepted_and_so_is_who_has_no_login(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record())
    assert session.mail("free") == "accept"
    assert session.mail() == "accept"
    assert session.mail("bob") == TEMPFAIL
    assert session.mail() == "accept"
    assert daemon.verdicts(1) == [verdict("tempfail")]


def test_a_block_is_a_550_and_the_text_of_a_record_replaces_the_sentence(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record("block"), account_eve=record(text="100 % too much, call 555-1234"))
    assert session.mail("bob") == BLOCK
    assert session.mail("eve") == "450 4.7.1 100 %% too much, call 555-1234 (case 4F7K2A)"
    assert daemon.verdicts(2) == [verdict("block"), verdict("tempfail", login="eve")]


def test_the_change_of_a_table_is_visible_to_the_next_mail_of_a_session(daemon: Daemon, session: Session) -> None:
    assert session.mail("bob") == "accept"
    daemon.publish(account_bob=record())
    assert session.mail("bob") == TEMPFAIL
    daemon.publish(account_bob=record("block"))
    assert session.mail("bob") == BLOCK
    daemon.publish(account_bob=[])
    assert session.mail("bob") == "accept"


def test_a_record_counts_by_the_milters_clock(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record(until=1.7e9), account_eve=record(lease=1.7e9))
    assert session.mail("bob") == "accept"
    assert session.mail("eve") == "accept"


@pytest.mark.parametrize("action", ["throttle", "tempfail", "hold", "block"])
def test_an_observed_record_is_logged_and_mail_accepted(daemon: Daemon, session: Session, action: str) -> None:
    daemon.publish(account_bob=record(action, "observe", share=0.0))
    assert session.mail("bob") == "accept"
    daemon.wait_for(verdict(f"would-{action}", "observe"))


def test_an_observed_record_beside_an_enforced_one_hides_nothing(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=[record("block", "observe"), record("tempfail")])
    assert session.mail("bob") == TEMPFAIL
    daemon.wait_for(verdict("would-block", "observe"))
    assert daemon.verdicts(2) == [verdict("tempfail"), verdict("would-block", "observe")]


@pytest.mark.parametrize("action", ["throttle", "cap"])
def test_a_record_without_what_it_needs_lets_mail_through_and_says_so(
    daemon: Daemon, session: Session, action: str
) -> None:
    daemon.publish(account_bob=record(action))
    assert session.mail("bob") == "accept"
    daemon.wait_for(f"mail let through: {action} without what it needs (rule strangers)")
    assert daemon.verdicts(0) == []


def test_a_throttle_admits_a_share_of_the_attempts_of_one_session(daemon: Daemon, session: Session) -> None:
    """Of 1,000 attempts at a share of 0.3: 300, give or take four standard deviations."""
    daemon.publish(account_bob=record("throttle", share=0.3))
    replies = [session.mail("bob") for _ in range(1000)]
    assert set(replies) == {"accept", TEMPFAIL}
    assert abs(replies.count("accept") - 300) <= 4 * (1000 * 0.3 * 0.7) ** 0.5


def test_a_throttle_draws_anew_for_who_comes_again_from_the_same_port(daemon: Daemon) -> None:
    """Each connection is another one, by the moment it began."""
    daemon.publish(account_bob=record("throttle", share=0.5))
    replies = set()
    for _ in range(60):
        with daemon.session() as session:
            session.connect()
            replies.add(session.mail("bob"))
    assert replies == {"accept", TEMPFAIL}


CAP = "452 4.5.3 Too many recipients for this account in one message, send the rest later (case 4F7K2A)"


def recipients(session: Session, login: str, number: int) -> list[str]:
    assert session.mail(login) == "continue"
    return [session.rcpt() for _ in range(number)]


def test_a_cap_refuses_recipients_beyond_its_number_in_each_message(daemon: Daemon) -> None:
    daemon.publish(account_bob=record("cap", max_recipients=2))
    with daemon.session() as session:
        session.connect()
        for _ in range(2):
            assert recipients(session, "bob", 4) == ["continue", "continue", CAP, CAP]
            assert session.end() == "accept"
        assert session.mail("free") == "accept"
    daemon.wait_for(verdict("cap").replace("stage=MAIL", "stage=RCPT"))


def test_a_cap_for_everybody_spares_who_has_one_of_its_own(daemon: Daemon) -> None:
    daemon.publish_keys({key.EVERYBODY: [record("cap", max_recipients=1)]})
    daemon.publish(account_list=record("cap", max_recipients=3))
    with daemon.session() as session:
        session.connect()
        assert recipients(session, "bob", 2) == ["continue", CAP]
        assert recipients(session, "list", 4) == ["continue"] * 3 + [CAP]
        assert session.mail() == "accept"


def test_an_observed_cap_refuses_nobody_and_is_logged_at_the_recipient_too_many(daemon: Daemon) -> None:
    daemon.publish(account_bob=record("cap", "observe", max_recipients=2))
    with daemon.session() as session:
        session.connect()
        assert recipients(session, "bob", 2) == ["continue"] * 2
        assert session.end() == "accept"
        assert daemon.verdicts(0) == []
        assert recipients(session, "bob", 3) == ["continue"] * 3
    daemon.wait_for(verdict("would-cap", "observe").replace("stage=MAIL", "stage=RCPT"))


def test_the_first_cap_of_a_table_takes_effect_with_the_next_connection(daemon: Daemon, session: Session) -> None:
    """An open one has not been promised recipients, and mail flows; later caps take effect at the next MAIL."""
    daemon.publish(account_bob=record("cap", max_recipients=1))
    assert session.mail("bob") == "accept"
    daemon.wait_for("mail let through: a cap that is younger than the connection")
    with daemon.session() as other:
        other.connect()
        assert recipients(other, "bob", 2) == ["continue", CAP]
        daemon.publish(account_eve=record("cap", max_recipients=1))
        assert recipients(other, "eve", 2) == ["continue", CAP]


def test_an_observed_cap_that_is_younger_than_the_connection_is_no_doubt(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record("cap", "observe", max_recipients=1))
    assert session.mail("bob") == "accept"
    assert daemon.stop() == 0
    assert "stopped; mail was let through in doubt 0 times" in daemon.told()


def test_a_held_message_is_accepted_and_quarantined_at_its_end(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record("hold"))
    for _ in range(2):
        assert session.mail("bob") == "continue"
        assert session.end() == "quarantine: mailbrake (case 4F7K2A), accept"
    assert session.mail("free") == "accept"
    daemon.wait_for(verdict("hold").replace("stage=MAIL", "stage=EOM"))


def test_a_clients_cap_and_hold_stand_for_its_connection(daemon: Daemon) -> None:
    daemon.publish_keys(
        {"client:192.0.2.9": [record("hold")], "net:192.0.2.0/24": [record("cap", max_recipients=1, ref="NET")]}
    )
    daemon.publish(account_bob=record("cap", max_recipients=3, ref="BOB"))
    with daemon.session() as session:
        assert session.connect("192.0.2.9") == "continue"
        assert session.mail() == "continue"
        assert [reply[:3] for reply in (session.rcpt(), session.rcpt())] == ["con", "452"]
        assert session.end() == "quarantine: mailbrake (case 4F7K2A), accept"
        assert recipients(session, "bob", 2)[1].endswith("(case NET)")
    with daemon.session() as session:
        session.connect("198.51.100.1")
        assert recipients(session, "bob", 4)[2:] == ["continue", CAP.replace("4F7K2A", "BOB")]


def test_a_reply_in_the_sites_own_words_may_have_several_lines(tmp_path: Path) -> None:
    more = 'texts = { tempfail = "Zu viel Post,\\nbitte später: 100 %" }\nhelp = "https://help.example"\n'
    daemon = Daemon(tmp_path, more=more)
    daemon.publish(account_bob=record())
    with daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob") == (
            "450 4.7.1 Zu viel Post,\r\n450 4.7.1 bitte spater: 100 %%; https://help.example (case 4F7K2A)"
        )


# Storms


def test_a_storm_of_equal_verdicts_is_a_line_a_second_and_each_is_counted(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record())
    for _ in range(500):
        assert session.mail("bob") == TEMPFAIL
    wait_until(lambda: sum(map(counted, daemon.verdicts(1))) == 500, "500 verdicts to be accounted for")
    assert daemon.verdicts(1)[0] == verdict("tempfail")
    assert len(daemon.verdicts(1)) < 10


def test_what_is_still_untold_is_told_at_the_end(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record())
    for _ in range(50):
        session.mail("bob")
    assert daemon.stop() == 0
    assert sum(map(counted, daemon.verdicts(1))) == 50


def counted(line: str) -> int:
    found = re.search(r", key=account, count=([0-9]+), client_ip=", line)
    return int(found[1]) if found else 1


# Whom to judge


@pytest.mark.parametrize(
    ("judge", "connect", "mail"),
    [("both", "450", "450"), ("accounts", "continue", "450"), ("clients", "450", "accept")],
)
def test_a_listener_judges_accounts_or_clients_or_both(tmp_path: Path, judge: str, connect: str, mail: str) -> None:
    daemon = Daemon(tmp_path, more=f'judge = "{judge}"\n')
    daemon.publish_keys({"client:192.0.2.9": [record()], "account:bob@example.com": [record()]})
    daemon.publish_keys({"client:192.0.2.8": [record("hold")]})
    with daemon:
        with daemon.session() as session:
            assert session.connect("192.0.2.9").startswith(connect)
        with daemon.session() as session:
            assert session.connect("192.0.2.8") == "continue"  # its messages, if any, are held at their end
        with daemon.session() as session:
            assert session.connect("192.0.2.1") == ("accept" if judge == "clients" else "continue")
            assert session.mail("bob").startswith(mail)


@pytest.mark.parametrize(
    ("more", "address", "refused"),
    [
        ("", "127.0.0.1", False),
        ("", "::1", False),
        ("", "::ffff:127.0.0.1", False),
        ("", "192.0.2.9", True),
        ("exempt = []\n", "127.0.0.1", True),
        ('exempt = ["192.0.2.0/24", "2001:db8::/32"]\n', "192.0.2.9", False),
        ('exempt = ["192.0.2.0/24", "2001:db8::/32"]\n', "2001:db8::9", False),
        ('exempt = ["192.0.2.0/24", "2001:db8::/32"]\n', "127.0.0.1", True),
        ('exempt = ["::ffff:192.0.2.0/120"]\n', "192.0.2.9", False),
    ],
)
def test_an_exempt_client_is_not_refused_but_its_logins_are(
    tmp_path: Path, more: str, address: str, refused: bool
) -> None:
    """Re-injection by a content filter comes from loopback, without AUTH; so does webmail, with."""
    daemon = Daemon(tmp_path, more=more)
    daemon.publish_keys({str(key.client(address)): [record("block")], "account:bob@example.com": [record()]})
    with daemon, daemon.session() as session:
        assert session.connect(address).startswith("550" if refused else "continue")
        if not refused:
            assert session.mail() == "accept"
            assert session.mail("bob") == TEMPFAIL


@pytest.mark.parametrize("login", ["bob", "BOB", "bob@example.com", " Bob@Example.COM "])
def test_a_login_is_the_same_account_however_it_is_written(daemon: Daemon, session: Session, login: str) -> None:
    daemon.publish(account_bob=record())
    assert session.mail(login) == TEMPFAIL


def test_only_the_authenticated_login_counts(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record())
    assert session.mail("free", **{"{auth_author}": "bob"}) == "accept"
    assert session.mail(**{"{auth_author}": "bob"}) == "accept"


@pytest.mark.parametrize(
    ("version", "login", "expected"),
    [
        ("Postfix 3.7.11", "user+tag", "user+tag"),
        ("Postfix 3.7.11", "user+2Btag", "user+2Btag"),
        ("ESMTP-Server 3.11.0", "user+2Btag", "user+2Btag"),
        ("8.17.1.9", "user+2Btag", "user+tag"),
        ("", "user+2Btag", "user+tag"),
        ("", "user+3Dx+zz", "user=x+zz"),
        ("", "caf+C3+A9", "café"),
    ],
)
def test_xtext_is_decoded_where_the_mta_is_not_postfix(daemon: Daemon, version: str, login: str, expected: str) -> None:
    daemon.publish_keys({str(key.account(expected, "example.com")): [record()]})
    with daemon.session() as session:
        session.connect(version=version)
        assert session.mail(login) == TEMPFAIL
    daemon.wait_for(verdict("tempfail", login=expected))


@pytest.mark.parametrize("version", ["Postfix 3.7.11", "8.17.1.9"])
@pytest.mark.parametrize("login", [b"m\xfcller", b"m\xfcller+x"])
def test_a_login_that_is_no_utf_8_is_judged_as_well(daemon: Daemon, version: str, login: bytes) -> None:
    """Else whoever may write his login in more than one way would write it so, and pass all brakes."""
    name = login.decode(errors="surrogateescape")
    daemon.publish_keys({str(key.account(name, "example.com")): [record()]})
    with daemon.session() as session:
        session.connect(version=version)
        session.raw(constants.SMFIC_MACRO, b"M{auth_authen}\0" + login + b"\0", answered=False)
        assert session.raw(constants.SMFIC_MAIL, b"<a@example.org>\0", answered=True) == TEMPFAIL
    assert daemon.verdicts(1)[0].endswith(f"sasl_username={login.decode('ascii', 'backslashreplace')}")


def test_a_login_cannot_forge_a_log_line(daemon: Daemon, session: Session) -> None:
    login = "x, key=client\r\nmailbrake: verdict: block"
    daemon.publish_keys({"account:x, key=client\\x0d\\x0amailbrake: verdict: block@example.com": [record()]})
    assert session.mail(login) == TEMPFAIL
    daemon.wait_for(verdict("tempfail", login=r"x, key=client\x0d\x0amailbrake: verdict: block"))
    assert len(daemon.verdicts(1)) == 1


# Clients


@pytest.mark.parametrize(
    ("listed", "address", "whom", "client_ip"),
    [
        ("client:192.0.2.9", "192.0.2.9", "your address", "192.0.2.9"),
        ("net:192.0.2.0/24", "192.0.2.9", "your network", "192.0.2.9"),
        ("client:2001:db8::1", "2001:DB8:0::1", "your address", "2001:db8::1"),
        ("net:2001:db8::/48", "2001:db8::1", "your network", "2001:db8::1"),
        ("client:192.0.2.9", "::ffff:192.0.2.9", "your address", "192.0.2.9"),
    ],
)
def test_a_client_is_refused_at_connect(daemon: Daemon, listed: str, address: str, whom: str, client_ip: str) -> None:
    daemon.publish_keys({listed: [record("block")]})
    with daemon.session() as session:
        assert session.connect(address) == f"550 5.7.1 Sending is blocked for {whom} (case 4F7K2A)"
    daemon.wait_for(
        f"verdict: block, mode=enforce, stage=CONNECT, ref=4F7K2A, rule=strangers, key={listed.partition(':')[0]}, "
        f"client_ip={client_ip}\n"
    )


def test_a_listed_client_does_not_stop_others_and_an_observed_one_is_only_logged(daemon: Daemon) -> None:
    daemon.publish_keys({"client:192.0.2.9": [record()], "client:192.0.2.8": [record("block", "observe")]})
    with daemon.session() as session:
        assert session.connect("192.0.2.7") == "continue"
    with daemon.session() as session:
        assert session.connect("192.0.2.8") == "continue"
        assert session.mail("bob") == "accept"
    daemon.wait_for("verdict: would-block, mode=observe, stage=CONNECT, ref=4F7K2A, rule=strangers, key=client")


@pytest.mark.parametrize("body", [b"mx.example\0U", b"mx.example\0L\0\0/run/socket\0"])
def test_a_client_without_an_address_is_judged_by_its_login(daemon: Daemon, body: bytes) -> None:
    daemon.publish(account_bob=record())
    with daemon.session() as session:
        assert session.raw(constants.SMFIC_CONNECT, body, answered=True) == "continue"
        assert session.mail("bob") == TEMPFAIL
    daemon.wait_for(verdict("tempfail").replace("192.0.2.1", "unknown"))


# Negotiation


@pytest.mark.parametrize("capped", [False, True])
def test_nothing_is_negotiated_but_what_is_needed(daemon: Daemon, capped: bool) -> None:
    """Connect and MAIL, and recipients only where the table has a cap; and that a message may be held."""
    if capped:
        daemon.publish(account_bob=record("cap", max_recipients=1))
    unwanted = (
        constants.SMFIP_NOHELO,
        0 if capped else constants.SMFIP_NORCPT,
        constants.SMFIP_NODATA,
        constants.SMFIP_NOHDRS,
        constants.SMFIP_NOEOH,
        constants.SMFIP_NOBODY,
        constants.SMFIP_NOUNKNOWN,
    )
    with daemon.session() as session:
        assert session.actions == constants.SMFIF_QUARANTINE
        assert session.protocol == sum(unwanted)


def test_many_sessions_are_judged_side_by_side(daemon: Daemon) -> None:
    daemon.publish(account_bob=record())
    replies: list[str] = []

    def one() -> None:
        with daemon.session() as session:
            session.connect()
            replies.extend(session.mail(login) for login in ["bob", "free"] * 20)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(replies) == [TEMPFAIL] * 400 + ["accept"] * 400


def test_a_thousand_sessions_may_be_open_at_once(daemon: Daemon) -> None:
    """As many as a busy gateway has smtpd processes; each is judged."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    daemon.publish(account_bob=record())
    with contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(daemon.session()) for _ in range(1000)]
        assert {session.connect() for session in sessions} == {"continue"}
        assert {session.mail("bob") for session in sessions} == {TEMPFAIL}
        assert {session.mail("free") for session in reversed(sessions)} == {"accept"}


# Mail flows when in doubt


def write_raw(table: Path, key: bytes, value: bytes) -> None:
    with lmdb.open(str(table), map_size=1 << 24) as env, env.begin(write=True) as txn:
        txn.put(key, value)


def remove(table: Path) -> None:
    for path in table.iterdir():
        path.unlink()
    table.rmdir()


def overwrite(content: bytes) -> Callable[[Path], None]:
    return lambda table: overwrite_with(table, content)


def overwrite_with(table: Path, content: bytes) -> None:
    (table / "data.mdb").write_bytes(content)


def replace_with(table: Path, content: bytes) -> None:
    (table / "new").write_bytes(content)
    (table / "new").rename(table / "data.mdb")


def cut(table: Path) -> None:
    os.truncate(table / "data.mdb", 9000)


def half(table: Path) -> None:
    """As a copy that was interrupted leaves it, when the room for it had been set aside before."""
    with Writer(table) as writer:
        writer.publish({f"account:user{number}@example.com": [record()] for number in range(1000)}, time.time())
    whole = (table / "data.mdb").read_bytes()
    replace_with(table, whole[: len(whole) // 2].ljust(len(whole), b"\0"))


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (remove, "no table there"),
    "data missing": (lambda table: (table / "data.mdb").unlink(), "no table there"),
    "lock missing": (lambda table: (table / "lock.mdb").unlink(), "lock.mdb must be there"),
    "empty": (overwrite(b""), "data.mdb is not an LMDB file"),
    "text": (overwrite(b"account:bob: REJECT\n" * 1000), "data.mdb is not an LMDB file"),
    "random": (overwrite(os.urandom(50_000)), "data.mdb is not an LMDB file"),
    "zeros": (overwrite(bytes(50_000)), "data.mdb is not an LMDB file"),
    "cut": (cut, "data.mdb was cut short"),
    "half a copy": (half, "mdb_"),
    "replaced by garbage": (lambda table: replace_with(table, b"garbage"), "data.mdb is not an LMDB file"),
    "newer format": (
        lambda table: write_raw(table, b"meta", json.dumps({"format": 2}).encode()),
        "it has format 2, this mailbrake knows 1",
    ),
    "no meta": (lambda table: write_raw(table, b"meta", b"null"), "its meta record is broken"),
    "broken record": (
        lambda table: write_raw(table, b"account:bob@example.com", b'{"action": "block"}'),
        "the record of account:bob@example.com is broken: mode is missing",
    ),
    "record of bytes": (
        lambda table: write_raw(table, b"account:bob@example.com", b"\xff\0\xff"),
        "the record of account:bob@example.com is broken: it is not JSON",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_mail_flows_if_the_table_is_broken_before_the_start(tmp_path: Path, damage: str) -> None:
    apply, message = DAMAGES[damage]
    daemon = Daemon(tmp_path)
    daemon.publish(account_bob=record("block"))
    apply(daemon.table)
    with daemon, daemon.session() as session:
        assert session.connect() == "continue"
        assert session.mail("bob") == "accept"
        daemon.wait_for(message)
        assert daemon.verdicts(0) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_mail_flows_if_the_table_breaks_while_running(daemon: Daemon, session: Session, damage: str) -> None:
    apply, message = DAMAGES[damage]
    daemon.publish(account_bob=record("block"))
    assert session.mail("bob") == BLOCK
    apply(daemon.table)
    wait_until(lambda: session.mail("bob") == "accept", "mail to flow")  # the format and the lock: within a second
    with daemon.session() as other:
        assert other.connect() == "continue"
        assert other.mail("bob") == "accept"
    daemon.wait_for(message)


def test_a_repaired_table_is_used_again(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record("block"))
    assert session.mail("bob") == BLOCK
    overwrite_with(daemon.table, b"garbage")
    assert session.mail("bob") == "accept"
    daemon.publish(account_bob=record("tempfail"))
    wait_until(lambda: session.mail("bob") == TEMPFAIL, "the new table")


def test_a_table_made_later_is_used(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob") == "accept"
        daemon.publish(account_bob=record())
        assert session.mail("bob") == TEMPFAIL
        assert "all mail is let through until there is a table" in daemon.told()


def test_a_doubt_is_counted_and_told_once(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    with daemon, daemon.session() as session:
        session.connect()
        for _ in range(9):
            assert session.mail("bob") == "accept"
    assert daemon.told().count("mail let through: ") == 1
    assert "stopped; mail was let through in doubt 10 times" in daemon.told()


def test_a_doubt_is_told_again_after_its_period_with_how_often_it_came_up() -> None:
    now, told = [0.0], list[str]()
    doubts = Doubts(told.append, lambda: now[0], period=60)
    for second in (0, 1, 59, 60, 61):
        now[0] = second
        doubts.add("no table")
    doubts.add("bug", ": 7")
    assert told == ["mail let through: no table", "mail let through: no table (3 times)", "mail let through: bug: 7"]
    assert doubts.total == 6


def test_doubts_of_any_number_of_kinds_are_remembered_within_bounds() -> None:
    told: list[str] = []
    doubts = Doubts(told.append, lambda: 0.0)
    for number in range(1000):
        doubts.add(str(number))
        doubts.add("again")
    assert told.count("mail let through: again") == 1
    assert len(told) == 1001
    doubts.add("0")
    assert len(told) == 1002, "the first ones are forgotten"


def test_an_exception_in_a_callback_lets_mail_through_and_is_told(daemon: Daemon, session: Session) -> None:
    """pymilter decodes macros as UTF-8 and raises where they are not; here it is the name of the MTA."""
    daemon.publish(account_bob=record())
    session.raw(constants.SMFIC_MACRO, b"M{auth_authen}\0bob+2B\0v\0\xff\0", answered=False)
    assert session.raw(constants.SMFIC_MAIL, b"<a@example.org>\0", answered=True) == "accept"
    daemon.wait_for("mail let through: UnicodeDecodeError at milter.py:")
    assert session.mail("bob") == TEMPFAIL


def test_an_exception_before_a_callback_leaves_mail_to_be_judged(daemon: Daemon) -> None:
    daemon.publish(account_bob=record())
    with daemon.session() as session:
        body = b"m\xffx\0" + b"4\x04\xd2192.0.2.1\0"
        assert session.raw(constants.SMFIC_CONNECT, body, answered=True) == "continue"
        assert session.mail("free") == "accept"
        assert session.mail("bob") == TEMPFAIL


# The process


def test_it_stops_at_once_with_status_0_and_takes_its_socket_along(daemon: Daemon, session: Session) -> None:
    assert session.mail("free") == "accept"
    assert daemon.stop() == 0
    assert not daemon.socket.exists()


def test_told_to_stop_the_moment_that_it_listens_it_does_so_too(tmp_path: Path) -> None:
    """Not libmilter, which takes five seconds and may call it a failure."""
    for _ in range(10):
        with Daemon(tmp_path) as daemon:
            assert daemon.stop(within=4) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_libmilter_takes_nevertheless_ends_it_within_a_tick(daemon: Daemon, number: int) -> None:
    """Of two signals at once the second one may go to the thread that libmilter waits with."""
    (waiting,) = [
        task.name
        for task in Path(f"/proc/{daemon.pid}/task").iterdir()
        if task.name != str(daemon.pid)
        and not int(re.findall(r"SigBlk:\s*(\w+)", (task / "status").read_text())[0], 16) & 1 << signal.SIGTERM - 1
    ]
    os.kill(int(waiting), number)  # the kernel prefers the thread that is named
    assert daemon.end(within=4) == 0


def test_a_signal_before_it_listens_ends_it_as_it_would_any_program(tmp_path: Path) -> None:
    """And the socket that is left behind is replaced."""
    daemon = Daemon(tmp_path)
    for _ in range(3):
        daemon.start()
        wait_until(daemon.socket.exists, "the socket")
        assert daemon.stop(within=4) in (0, -signal.SIGTERM)
    with daemon, daemon.session() as session:
        assert session.connect() == "continue"


def test_an_interrupt_stops_it_too_and_a_hangup_does_not(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.publish(account_bob=record())
    with daemon:
        daemon.signal(signal.SIGHUP)
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob") == TEMPFAIL
        assert daemon.stop(signal.SIGINT) == 0


# Signals, identity, the service manager


def test_a_hangup_reads_the_configuration_again(daemon: Daemon, session: Session) -> None:
    """In effect with the next MAIL of an open session: wording, realm, whom to judge, and where the table is."""
    daemon.publish_keys({"account:bob@example.net": [record()]})
    assert session.mail("bob") == "accept"
    daemon.configure("example.com", "example.net")
    daemon.configure('syslog = ""', 'syslog = ""\nhelp = "call 4711"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("configuration read again\n")
    assert session.mail("bob") == TEMPFAIL.replace(" (case", "; call 4711 (case")
    daemon.configure('syslog = ""', f'syslog = ""\ntable = "{daemon.directory}/other"\nsocket_mode = "0600"')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("configuration read again; only a restart changes socket_mode\n")
    assert session.mail("bob") == "accept"


def test_a_broken_configuration_changes_nothing_at_a_hangup(daemon: Daemon, session: Session) -> None:
    daemon.publish(account_bob=record())
    daemon.configure("[milter]", "[mitler]")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("the configuration stays as it was: ")
    daemon.wait_for("[mitler]: no such section; did you mean milter?")
    assert session.mail("bob") == TEMPFAIL


@pytest.mark.parametrize("text", ["", "[log]\n# nothing\n"])
def test_a_configuration_that_has_become_empty_changes_nothing_at_a_hangup(
    daemon: Daemon, session: Session, text: str
) -> None:
    """As it is for a moment while an editor writes it, and stays on a full disk: every brake would be off."""
    daemon.publish(account_bob=record())
    path = daemon.directory / "mailbrake.toml"
    path.write_text(text)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(f"the configuration stays as it was: {path} is empty now; a restart would take it so\n")
    assert session.mail("bob") == TEMPFAIL


def test_metrics_that_only_a_restart_would_serve_are_said(daemon: Daemon) -> None:
    daemon.configure("[milter]", '[metrics]\nmilter = "127.0.0.1:9632"\n[milter]')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for("configuration read again; only a restart changes [metrics] milter\n")


def test_without_a_standard_error_it_serves_mail(tmp_path: Path) -> None:
    """As it is started by a script that closes what it does not need."""
    code = "import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'enforce.main', *sys.argv[1:]])"
    daemon = Daemon(tmp_path, command=("-c", f"import os; os.close(2); {code}"))
    daemon.publish(account_bob=record())
    daemon.start()
    wait_until(daemon.socket.exists, "the milter")
    with daemon.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL
    daemon.kill()


def test_hangups_under_load_end_nothing(daemon: Daemon, session: Session) -> None:
    """libmilter, which would stop at one, never gets it."""
    daemon.publish(account_bob=record())
    for _ in range(200):
        daemon.signal(signal.SIGHUP)
        assert session.mail("bob") == TEMPFAIL
    with daemon.session() as other:
        assert other.connect() == "continue"


def open_to_all(directory: Path) -> None:
    """pytest's directories are the owner's alone."""
    for path in [directory, *directory.parents][: -len(Path(tempfile.gettempdir()).parts)]:
        path.chmod(0o755)


def test_root_becomes_another_user_and_the_socket_is_that_users(tmp_path: Path) -> None:
    """After the socket is open; it then reads the table through that user's group, and takes its socket along."""
    open_to_all(tmp_path)
    nobody, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    daemon = Daemon(tmp_path, more='user = "nobody"\nsocket_group = "daemon"\n')
    daemon.publish(account_bob=record())
    for path in (daemon.table, *daemon.table.iterdir()):
        os.chown(path, 0, nobody.pw_gid)
    with daemon:
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        assert re.search(rf"^Uid:(\t{nobody.pw_uid}){{4}}$", status, re.MULTILINE)
        assert re.search(rf"^Gid:(\t{nobody.pw_gid}){{4}}$", status, re.MULTILINE)
        assert re.search(rf"^Groups:\t{nobody.pw_gid} ?$", status, re.MULTILINE)
        found = daemon.socket.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (nobody.pw_uid, group.gr_gid, 0o660)
        with daemon.session() as session:
            session.connect()
            assert session.mail("bob") == TEMPFAIL


def test_who_may_not_read_where_packages_are_has_all_that_is_needed(tmp_path: Path) -> None:
    """As when they were installed below /root; lmdb 3 imports a part of itself only when it opens a table."""
    open_to_all(tmp_path)
    packages = tmp_path / "packages"
    packages.mkdir(mode=0o700)
    shutil.copytree(Path(lmdb.__file__).parent, packages / "lmdb")
    group = pwd.getpwnam("nobody").pw_gid
    daemon = Daemon(tmp_path, more='user = "nobody"\n', environment={"PYTHONPATH": str(packages)})
    daemon.publish(account_bob=record())
    for path in (daemon.table, *daemon.table.iterdir()):
        os.chown(path, 0, group)
    with daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL


@pytest.mark.parametrize("option", ["user", "group", "socket_group"])
def test_who_does_not_exist_is_a_mistake_in_the_configuration(tmp_path: Path, option: str) -> None:
    told = failure(tmp_path, f'[milter]\n{option} = "n-o-b-o-d-y"')
    kind = "user" if option == "user" else "group"
    assert told == (
        f"2 mailbrake: {tmp_path}/mailbrake.toml: [milter] {option}: there is no {kind} 'n-o-b-o-d-y' on this machine"
    )


def test_the_service_manager_is_told_of_readiness_life_and_end(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "3000000"}
        with Daemon(tmp_path, environment=environment) as daemon:
            assert manager.recv(4096).decode() == f"READY=1\nSTATUS=listening on unix:{daemon.socket}"
            assert manager.recv(4096) == b"WATCHDOG=1"
            daemon.signal(signal.SIGHUP)
            told = [manager.recv(4096).decode() for _ in range(3)]
            assert "READY=1\nSTATUS=configuration read again" in told
            assert any(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", message) for message in told)
        messages = [manager.recv(4096)]
        while messages[-1] != b"STOPPING=1":
            messages.append(manager.recv(4096))


def test_no_service_manager_is_none_to_worry_about(tmp_path: Path) -> None:
    """No variable, a socket that is not there, one in the abstract name space, one that is another process's."""
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none")}, {"NOTIFY_SOCKET": "@mailbrake-none"}):
        notifier = Notifier(environment)
        notifier.ready("up")
        notifier.stopping()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"}).alive()
        with pytest.raises(BlockingIOError):
            manager.recv(1)


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o660])
def test_the_socket_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    configuration = f'[state]\ndirectory = "{tmp_path}"\n[milter]\nsyslog = ""\nsocket_mode = "{mode:04o}"\n'
    before = os.umask(0o077)
    try:
        with Daemon(tmp_path, configuration + f'socket = "unix:{tmp_path}/milter.sock"\n') as daemon:
            assert stat.S_IMODE(daemon.socket.stat().st_mode) == mode
    finally:
        os.umask(before)


def test_options_in_effect_are_told_at_start(daemon: Daemon) -> None:
    told = daemon.told()
    assert f"configuration: {daemon.directory}/mailbrake.toml\n" in told
    assert '[log] default_realm = "example.com"\n' in told
    assert f'[milter] socket = "unix:{daemon.socket}"\n' in told
    assert f"table: {daemon.table}\n" in told


def test_a_socket_left_by_a_killed_milter_is_replaced(tmp_path: Path) -> None:
    killed = Daemon(tmp_path)
    killed.start()
    try:
        killed.wait_for("listening on")
    finally:
        killed.kill()
    assert killed.socket.is_socket()
    with Daemon(tmp_path) as daemon, daemon.session() as session:
        assert session.connect() == "continue"


def failure(directory: Path, configuration: str = "", command: tuple[str, ...] = ("-m", "enforce.main")) -> str:
    """Standard error of a milter that must not start, after its options."""
    daemon = Daemon(directory, configuration, command)
    daemon.start()
    status = daemon.end()
    return f"{status} {daemon.told().splitlines()[-1]}"


def test_it_does_not_start_where_another_one_listens(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    configuration = f'[milter]\nsocket = "unix:{daemon.socket}"\n'
    assert failure(tmp_path / "second", configuration) == (
        f"1 mailbrake: {daemon.socket}: address in use: another milter answers there; stop it first"
    )
    with daemon.session() as session:
        assert session.connect() == "continue"


def test_it_does_not_start_over_a_file_or_without_a_directory(tmp_path: Path) -> None:
    (tmp_path / "milter.sock").touch()
    assert "1 mailbrake: " in failure(tmp_path)
    assert "there is something that is no socket: move it away" in failure(tmp_path)
    assert (tmp_path / "milter.sock").exists()
    missing = failure(tmp_path, f'[milter]\nsocket = "unix:{tmp_path}/no/m"')
    assert missing == (
        f"1 mailbrake: {tmp_path}/no/m: there is no directory {tmp_path}/no: make it, writable by the milter's user"
    )


def test_it_says_who_may_not_write_where_and_which_group_is_missing() -> None:
    """As somebody who is not root."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    code = (
        "import os, sys; from enforce import config, main, milter; found = config.load(sys.argv[2])\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.exit(main.run(found))"
    )
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        told = failure(directory, command=("-c", code))
        assert told == (
            f"1 mailbrake: {directory}/milter.sock: permission denied: {directory} must be writable by the milter's "
            "user, and be allowed to it by SELinux or AppArmor where these are in force (here user 65534, group 65534)"
        )
        directory.chmod(0o777)
        where = f'[milter]\nsocket = "unix:{directory}/milter.sock"\nsocket_group = "daemon"'
        assert failure(directory, where, ("-c", code)).endswith(
            "the milter's user must be in the group of [milter] socket_group to give it the socket"
        )


def test_it_listens_on_tcp_and_does_not_start_on_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"inet:{taken.getsockname()[1]}@127.0.0.1"
        told = failure(tmp_path, f'[milter]\nsocket = "{where}"')
        assert told == f"1 mailbrake: {where}: cannot listen there: Address already in use"
    with Daemon(tmp_path, f'[milter]\nsocket = "{where}"\nsyslog = ""\ntable = "{tmp_path}/t"\n'):
        socket.create_connection(("127.0.0.1", int(where[5:].partition("@")[0]))).close()
    assert "cannot listen there: " in failure(tmp_path, '[milter]\nsocket = "inet:8891@no.such.host.invalid"')


def test_a_mistake_in_the_configuration_is_status_2(tmp_path: Path) -> None:
    told = failure(tmp_path, "[milter]\nsokcet = 1")
    assert told == f"2 mailbrake: {tmp_path}/mailbrake.toml:2: [milter] sokcet: no such option; did you mean socket?"


def test_without_pymilter_it_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['milter'] = None; from enforce.main import main; sys.exit(main(sys.argv[1:]))"
    told = failure(tmp_path, command=("-c", code))
    assert told.startswith("1 mailbrake: the milter needs pymilter: pip install 'mailbrake[milter]'")
    assert all(package in told for package in ("gcc", "libmilter-dev", "python3-dev"))


def test_help_names_the_program() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "enforce.main", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith("usage: mailbrake-milter [-h] [--config FILE]")


# Syslog


def logging_to(directory: Path) -> str:
    return (
        f'[log]\ndefault_realm = "example.com"\n[state]\ndirectory = "{directory}"\n'
        f'[milter]\nsocket = "unix:{directory}/milter.sock"\nsyslog = "{directory}/log"\n'
    )


def listening(directory: Path, kind: socket.SocketKind = socket.SOCK_DGRAM) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(directory / "log"))
    listener.settimeout(10)
    return listener


def test_verdicts_go_to_syslog_as_facility_mail(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, logging_to(tmp_path))
    daemon.publish(account_bob=record())
    with listening(tmp_path) as log, daemon, daemon.session() as session:
        session.connect()
        session.mail("bob")
        received = [log.recv(4096).decode() for _ in range(2)]
    head, _, message = received[1].partition(": ")
    assert head.startswith("<22>mailbrake[")
    assert head.endswith("]")
    assert message == verdict("tempfail")
    assert daemon.verdicts(1) == [verdict("tempfail")]


def test_without_a_syslog_it_runs_and_a_later_one_is_used(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, logging_to(tmp_path))
    daemon.publish(account_bob=record())
    with daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob") == TEMPFAIL
        daemon.wait_for(f"syslog at {tmp_path}/log does not take lines (")
        with listening(tmp_path) as log:
            assert session.mail("bob") == TEMPFAIL
            assert ": log lines lost: " in log.recv(4096).decode()
            assert verdict("tempfail") in log.recv(4096).decode()


def test_a_stalled_syslog_holds_up_no_mail(tmp_path: Path) -> None:
    """A line for each login; the socket takes ten or so, and nobody reads them."""
    daemon = Daemon(tmp_path, logging_to(tmp_path))
    daemon.publish_keys({key.EVERYBODY: [record()]})
    with listening(tmp_path) as log, daemon, daemon.session() as session:
        session.connect()
        for number in range(500):
            assert session.mail(f"user{number}") == TEMPFAIL
        daemon.verdicts(90)
        log.close()


def test_a_syslog_of_the_stream_kind_gets_an_end_mark(tmp_path: Path) -> None:
    with listening(tmp_path, socket.SOCK_STREAM) as log:
        log.listen()
        write = Syslog(str(tmp_path / "log"), "mailbrake[1]: ")
        write("verdict")
        connection, _ = log.accept()
        with connection:
            assert connection.recv(4096) == b"<22>mailbrake[1]: verdict\0"
        write.close()


def test_an_outlet_drops_and_counts_what_does_not_fit() -> None:
    begun, go_on, written = threading.Event(), threading.Event(), list[str]()

    def write(line: str) -> None:
        begun.set()
        assert go_on.wait(10)
        written.append(line)

    outlet = Outlet(write)
    outlet.put("first")
    assert begun.wait(10)
    for number in range(5000):
        outlet.put(str(number))
    go_on.set()
    outlet.close(10)
    assert written[:3] == ["first", "log lines lost: 904", "0"]
    assert written[-1] == "4095"


def test_an_outlet_that_is_stalled_does_not_hold_up_the_end() -> None:
    go_on, went_on = threading.Event(), threading.Event()

    def write(_line: str) -> None:
        go_on.wait(10)
        went_on.set()

    outlet = Outlet(write)
    outlet.put("line")
    outlet.close(0.01)
    assert not went_on.is_set()
    go_on.set()
