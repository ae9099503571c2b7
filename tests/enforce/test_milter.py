"""Sessions of the milter, which runs: whom it refuses and how, and every way in which mail must flow."""

import contextlib
import json
import os
import re
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from miltertest import constants

from enforce import key
from enforce.milter import Doubts
from enforce.table import Writer

from .answers import BLOCK, TEMPFAIL, verdict
from .daemon import Daemon, Session, wait_until
from .records import record

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


def test_a_reply_of_percent_signs_is_given_as_well(tmp_path: Path) -> None:
    """Doubled for the MTA they are longer than libmilter takes: the reply was none, and the mail let through."""
    daemon = Daemon(tmp_path, more=f'texts = {{ tempfail = "{"%" * 400}" }}\nhelp = "{"%" * 300}"\n')
    daemon.publish(account_bob=record())
    with daemon, daemon.session() as session:
        session.connect()
        assert session.mail("bob").startswith("450 4.7.1 %%%%")


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
