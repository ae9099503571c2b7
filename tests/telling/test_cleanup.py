"""What is left to do about a hijacked account, from real log lines."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.commands.running import mailbrake, objects

LOG = Path(__file__).parents[2] / "samples" / "incident.log"


def since() -> str:
    """Midnight before the attack, in the year that the log's stamps are read to be of."""
    year = datetime.now().year
    return f"{year if datetime.now() > datetime(year, 11, 24) else year - 1}-11-25T00:00"


def test_everything_that_is_left_to_do_is_in_the_list() -> None:
    """Mail still queued, recipients reached, the new address and its other login; not the home address."""
    (found,) = objects("cleanup", "bob", LOG, "--since", since(), "--json")
    assert found["queued"] == ["4jZ1x362FKzJ9Hb"]
    assert found["reached"] == ["a@example.net"]
    assert list(found["suspects"]) == ["client:203.0.113.7"]  # type: ignore[call-overload]
    assert found["others"] == {"account:carol": ["client:203.0.113.7"]}
    assert found["failures"] == 1


def test_a_login_that_nobody_could_check_is_no_failure_of_the_account(tmp_path: Path) -> None:
    """The owner's own devices fail, too, while the authentication server is away."""
    line = next(line for line in LOG.read_text().splitlines(True) if "authentication failed: " in line)
    head, _, tail = line.partition("authentication failed: ")
    away = f"{head}authentication failed: generic failure{tail[tail.index(', sasl_username=') :]}"
    log = tmp_path / "mail.log"
    log.write_text(LOG.read_text().replace(line, line + 2 * away))
    (found,) = objects("cleanup", "bob", log, "--since", since(), "--json")
    assert found["failures"] == 1


def test_a_message_that_the_log_does_not_say_who_handed_in_is_told_apart(tmp_path: Path) -> None:
    """Syslog drops lines when it is busy; who has the account's address as sender may be anybody. Until it leaves."""
    log = tmp_path / "mail.log"
    head = "2026-12-01T01:17:01.600000+00:00 mx1 postfix"
    queued = [
        f"{head}/qmgr[1114]: {name}: from=<{sender}>, size=288, nrcpt=1 (queue active)\n"
        for name, sender in (
            ("4jX0000001zJ9Hg", "Bob@example.com"),
            ("4jX0000002zJ9Hg", "bob@example.com"),
            ("4jX0000003zJ9Hg", "carol@example.com"),
        )
    ]
    known = (
        f"{head}/submission/smtpd[7]: 4jX0000004zJ9Hg: client=x[192.0.2.7], sasl_method=PLAIN, sasl_username=carol\n"
    )
    local = f"{head}/pickup[8]: 4jX0000005zJ9Hg: uid=33 from=<bob@example.com>\n"
    own = known.replace("4jX0000004zJ9Hg", "4jX0000006zJ9Hg").replace("carol", "bob@example.com")
    others = [queued[0].replace("4jX0000001zJ9Hg", name) for name in ("4jX0000004zJ9Hg", "4jX0000005zJ9Hg")]
    log.write_text("".join([*queued, own, known, local, *others, f"{head}/qmgr[1114]: 4jX0000002zJ9Hg: removed\n"]))
    asked = ("cleanup", "bob@example.com", log, "--since", "2026-12-01")
    (found,) = objects(*asked, "--json")
    assert (found["unclaimed"], found["queued"]) == (["4jX0000001zJ9Hg"], [])
    assert (
        "who handed this one in, with its address as sender: look at it (postcat -q ID)\n    4jX0000001zJ9Hg\n"
        in mailbrake(*asked).stdout
    )
    assert mailbrake(*asked, "--queue-ids").stdout == ""


def test_for_a_pipe_there_is_nothing_but_queue_ids_or_recipients() -> None:
    """Queue ids for postsuper, recipients for a notice; nothing else on standard output."""
    assert mailbrake("cleanup", "bob", LOG, "--since", since(), "--queue-ids").stdout == "4jZ1x362FKzJ9Hb\n"
    assert mailbrake("cleanup", "bob", LOG, "--since", since(), "--recipients").stdout == "a@example.net\n"


@pytest.mark.parametrize("key", ["203.0.113.7", "net:203.0.113.0/24", "account:*"])
def test_what_is_no_account_is_not_said_to_have_left_nothing(key: str) -> None:
    """The client has sent in this log: an empty list would be taken for a clean one."""
    done = mailbrake("cleanup", key, LOG, "--since", since())
    assert (done.returncode, done.stdout) == (1, "")
    assert " is none: name a login" in done.stderr


def test_the_list_says_what_to_do_next() -> None:
    """It says what to do next."""
    told = mailbrake("cleanup", "bob", LOG, "--since", since()).stdout
    assert "Still in the queue: 1 message" in told
    assert "postsuper -d -" in told
    assert "--queue-ids | xargs -rI{} sendmail -Qhijacked -qI{}\n" in told
    assert "account:carol" in told


def test_what_was_printed_can_be_typed() -> None:
    """The command before the pipe gives the same queue ids."""
    told = mailbrake("cleanup", "bob", LOG, "--since", since()).stdout
    (line,) = [line for line in told.splitlines() if "postsuper -h -" in line]
    words = line.partition(" mailbrake ")[2].partition(" | ")[0].split()
    assert mailbrake(*words).stdout == "4jZ1x362FKzJ9Hb\n"


def test_the_same_queue_id_on_another_host_is_another_message(tmp_path: Path) -> None:
    """What leaves one gateway's queue is still in the other's; and no list is made in which nobody can tell whose."""
    stamp, login = "2026-11-25T02:00:00+00:00", "client=x[203.0.113.7], sasl_method=PLAIN, sasl_username=bob"
    lines = [
        f"{stamp} {host} postfix/{line}\n"
        for host, line in (
            ("mx1", f"submission/smtpd[7]: 4AC0DE1: {login}"),
            ("mx1", "qmgr[2]: 4AC0DE1: from=<bob@example.com>, size=1, nrcpt=1 (queue active)"),
            ("mx1", f"submission/smtpd[7]: 4AC0DE8: {login}@example.com"),
            ("mx1", "qmgr[2]: 4AC0DE9: from=<bob@example.com>, size=1, nrcpt=1 (queue active)"),
            ("mx2", f"submission/smtpd[8]: 4AC0DE1: {login}"),
            ("mx2", "qmgr[3]: 4AC0DE1: from=<bob@example.com>, size=1, nrcpt=1 (queue active)"),
            ("mx2", f"submission/smtpd[8]: 4AC0DE2: {login}"),
            ("mx2", "qmgr[3]: 4AC0DE2: from=<bob@example.com>, size=1, nrcpt=1 (queue active)"),
            ("mx2", "qmgr[3]: 4AC0DE9: from=<carol@example.com>, size=1, nrcpt=1 (queue active)"),
            ("mx2", "qmgr[3]: 4AC0DE9: removed"),
            ("mx2", "qmgr[3]: 4AC0DE1: removed"),
        )
    ]
    log = tmp_path / "mail.log"
    log.write_text("".join(lines))
    asked = ("cleanup", "bob@example.com", log, "--since", "2026-11-25")
    (bob,) = objects("cleanup", "bob", log, "--since", "2026-11-25", "--json")
    assert bob["hosts"] == {
        "mx1": {"queued": ["4AC0DE1"], "unclaimed": []},
        "mx2": {"queued": ["4AC0DE2"], "unclaimed": []},
    }
    (address,) = objects(*asked, "--json")
    assert address["unclaimed"] == ["4AC0DE9"]
    both = mailbrake("cleanup", "bob", log, "--since", "2026-11-25", "--queue-ids")
    assert (both.returncode, both.stdout) == (1, "")
    assert "queue ids of several hosts (mx1, mx2)" in both.stderr
    for host, queue_id in (("mx1", "4AC0DE1"), ("mx2", "4AC0DE2")):
        one = mailbrake("cleanup", "bob", log, "--since", "2026-11-25", "--host", host, "--queue-ids")
        assert one.stdout == f"{queue_id}\n"
        told = mailbrake("cleanup", "bob", log, "--since", "2026-11-25").stdout
        assert f"  on {host}: 1 message\n" in told
        assert f" --host {host} --queue-ids | postsuper -h -\n" in told


STAMP = "2026-11-25T02:00:00+00:00 mx1 "
CONTENT = {
    "postfix": """\
postfix/submission/smtpd[7]: connect from unknown[203.0.113.7]
postfix/submission/smtpd[7]: 4AC0DE1: client=unknown[203.0.113.7], sasl_method=PLAIN, sasl_username=bob
postfix/qmgr[2]: 4AC0DE1: from=<bob@example.com>, size=1, nrcpt=2 (queue active)
postfix/smtp[3]: 4AC0DE1: to=<a@example.net>, relay=x[192.0.2.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok)
postfix/smtp[3]: 4AC0DE1: to=<b@example.net>, relay=x[192.0.2.9]:25, delay=1, dsn=2.0.0, status=sent (250 ok)
postfix/qmgr[2]: 4AC0DE1: removed
postfix/submission/smtpd[7]: 4AC0DE2: client=unknown[203.0.113.7], sasl_method=PLAIN, sasl_username=bob
postfix/qmgr[2]: 4AC0DE2: from=<bob@example.com>, size=1, nrcpt=1 (queue active)
postfix/smtp[3]: 4AC0DE2: to=<a@example.net>, relay=none, delay=1, dsn=4.4.1, status=deferred (timed out)
postfix/submission/smtpd[7]: 4AC0DE3: client=unknown[203.0.113.7], sasl_method=PLAIN, sasl_username=bob
postfix/cleanup[4]: 4AC0DE3: milter-reject: END-OF-MESSAGE from unknown[203.0.113.7]: 5.7.1 spam; \
from=<bob@example.com> to=<c@example.net> proto=ESMTP helo=<x>
postfix/submission/smtpd[9]: connect from unknown[203.0.113.8]
postfix/submission/smtpd[9]: NOQUEUE: milter-reject: MAIL from unknown[203.0.113.8]: 450 4.7.1 Too much; \
from=<bob@example.com> proto=ESMTP helo=<x> sasl_username=<bob>
postfix/submission/smtpd[9]: warning: unknown[203.0.113.7]: SASL PLAIN authentication failed: x, sasl_username=guess
""",
    "sendmail": """\
sm-mta[7]: AUTH=server, relay=[203.0.113.7], authid=bob, mech=PLAIN, bits=0
sm-mta[7]: 6AP1QJxL017647: from=<bob@example.com>, size=15, class=0, nrcpts=3, msgid=<1@x>, proto=ESMTPA, daemon=MSA, \
relay=[203.0.113.7]
sm-mta[7]: 6AP1QJxL017648: from=<bob@example.com>, size=15, class=0, nrcpts=2, msgid=<2@x>, proto=ESMTPA, daemon=MSA, \
relay=[203.0.113.7]
sm-mta[8]: 6AP1QJxL017647: to=<a@example.net>,<b@example.net>, [more], delay=00:00:00, xdelay=00:00:00, mailer=relay, \
pri=3, relay=x [192.0.2.9], dsn=2.0.0, stat=Sent (Ok)
sm-mta[8]: 6AP1QJxL017647: to=<b@example.net>, delay=00:00:00, xdelay=00:00:00, mailer=relay, pri=3, \
relay=x [192.0.2.9], dsn=2.0.0, stat=Sent (Ok)
sm-mta[8]: 6AP1QJxL017648: to=<a@example.net>, delay=00:00:00, xdelay=00:00:00, mailer=relay, pri=3, \
relay=x [192.0.2.9], dsn=2.0.0, stat=Sent (Ok)
sm-mta[8]: 6AP1QJxL017648: to=<c@example.net>, delay=00:00:00, xdelay=00:00:00, mailer=relay, pri=3, \
relay=x [192.0.2.9], dsn=4.2.1, stat=Deferred: 450 busy
sm-mta[7]: 6AP1QJxL017649: collect: premature EOM: unexpected close
sm-mta[7]: 6AP1QJxL017649: from=<bob@example.com>, size=15, class=0, nrcpts=2, proto=ESMTPA, daemon=MSA, \
relay=[203.0.113.7]
""",
    "exim": """\
exim[7]: 1xW4ZX-0004oa-20 <= bob@example.com H=(c) [203.0.113.7]:4 P=esmtpa A=plain:bob S=2 for \\
a@example.net b@example.net
exim[8]: 1xW4ZX-0004oa-20 => a@example.net R=r T=remote_smtp H=x [192.0.2.9] C="250 ok"
exim[8]: 1xW4ZX-0004oa-20 => b@example.net R=r T=remote_smtp H=x [192.0.2.9] C="250 ok"
exim[8]: 1xW4ZX-0004oa-20 Completed
exim[7]: 1xW4ZX-0004ob-20 <= bob@example.com H=(c) [203.0.113.7]:4 P=esmtpa A=plain:bob S=2 for c@example.net
exim[8]: 1xW4ZX-0004ob-20 == c@example.net R=r T=remote_smtp defer (-53): retry time not reached for any host
""",
}
QUEUED = {"postfix": "4AC0DE2", "sendmail": "6AP1QJxL017648", "exim": "1xW4ZX-0004ob-20"}


@pytest.mark.parametrize("dialect", CONTENT)
def test_of_every_mta_it_is_found_who_was_reached_and_what_is_queued(dialect: str, tmp_path: Path) -> None:
    """What was delivered or refused is not queued; whoever got something once was reached, whatever came later."""
    log = tmp_path / "mail.log"
    log.write_text("".join(STAMP + line for line in CONTENT[dialect].splitlines(keepends=True)))
    (found,) = objects("cleanup", "bob", log, "--since", "2026-11-25", "--json")
    assert found["queued"] == [QUEUED[dialect]]
    assert found["reached"] == ["a@example.net", "b@example.net"]
    refused = ["client:203.0.113.8"] if dialect == "postfix" else []  # a refused attempt names an address as well
    assert list(found["suspects"]) == ["client:203.0.113.7", *refused]  # type: ignore[call-overload]
    counts = [use["messages"] for use in found["suspects"].values()]  # type: ignore[attr-defined]
    assert counts == [2, 0][: len(counts)]
    assert found["others"] == {}  # whoever only guessed was not in
    told = mailbrake("replay", log).stdout
    assert "2 messages accepted, 1 account (SMTP AUTH logins)" in told


def test_an_empty_list_is_not_taken_for_a_clean_one(tmp_path: Path) -> None:
    """Nothing of the account in the time looked at is said, and so is a log that is none."""
    done = mailbrake("cleanup", "bob", LOG, "--since", "2031-01-01")
    assert done.returncode == 1
    assert "these logs have nothing of account:bob since 2031-01-01" in done.stderr
    assert "nor anything before: is it the right login?" in mailbrake("cleanup", "nobody", LOG).stderr
    elsewhere = mailbrake("cleanup", "bob@example.com", LOG).stderr
    assert "nor anything before: did you mean account:bob?" in elsewhere
    (tmp_path / "log").write_text("one two three\n")
    assert "is this the mail log?" in mailbrake("cleanup", "bob", tmp_path / "log").stderr


def test_the_logs_are_those_of_the_configuration(tmp_path: Path) -> None:
    """With their older parts, so that the owner's own addresses are known."""
    lines = LOG.read_bytes().splitlines(keepends=True)
    (tmp_path / "mail.log.1").write_bytes(b"".join(lines[:6]))
    (tmp_path / "mail.log").write_bytes(b"".join(lines[6:]))
    (tmp_path / "conf").write_text(f'[log]\nfiles = ["{tmp_path}/mail.log"]\n')
    (found,) = objects("cleanup", "bob", "--config", tmp_path / "conf", "--since", since(), "--json")
    assert (found["queued"], list(found["suspects"])) == (["4jZ1x362FKzJ9Hb"], ["client:203.0.113.7"])  # type: ignore[call-overload]
