"""The harness itself: what the other tests build on is shown here to be so, with a real Postfix."""

import re
import socket
import threading
from base64 import b64encode
from pathlib import Path

import pytest

from . import sasl, sink
from .client import submit
from .postfix import Postfix, require_postfix
from .waiting import wait_for

CLIENT = r"unknown\[127\.0\.0\.1\]"


def about(postfix: Postfix, queue_id: str) -> list[str]:
    """What the log says of one message, as `daemon text`, once its last line is there."""
    postfix.wait_for_line(f"{queue_id}: removed")
    said = postfix.lines(f" {queue_id}: ")
    return [re.sub(r"^.* (postfix\S+)\[\d+\]: \w+: ", r"\1 ", line) for line in said]


def assert_each_is_said_once(patterns: list[str], lines: list[str]) -> None:
    """Each pattern is the whole of one line, in any order: daemons log for themselves, and overtake."""
    for pattern in patterns:
        assert len([line for line in lines if re.fullmatch(pattern, line)]) == 1, (pattern, lines)
    assert len(lines) == len(patterns)


# ---- what Postfix logs


def test_an_authenticated_message_leaves_the_five_lines_of_its_life(postfix: Postfix) -> None:
    """client= with the login, message-id=, from= with nrcpt=, status=sent, removed."""
    (reply,) = submit(postfix.submission_port, "five@example.org", ["x@ok.example"], login="alice")
    assert (reply.code, reply.stage, reply.accepted) == (250, "end", 1)
    expected = [
        rf"postfix/submission/smtpd client={CLIENT}, sasl_method=PLAIN, sasl_username=alice",
        rf"postfix/cleanup message-id=<{reply.queue_id}@mx1\.example\.com>",
        r"postfix/qmgr from=<five@example\.org>, size=\d+, nrcpt=1 \(queue active\)",
        r"postfix/discard to=<x@ok\.example>, relay=none, .* dsn=2\.0\.0, status=sent \(ok\.example\)",
        r"postfix/qmgr removed",
    ]
    assert_each_is_said_once(expected, about(postfix, reply.queue_id))


def test_mail_without_auth_has_no_login_in_its_client_line(postfix: Postfix) -> None:
    """The plain port takes mail from this machine as it is, and logs as postfix/smtpd."""
    (reply,) = submit(postfix.smtp_port, "plain@example.org", ["x@ok.example", "y@ok.example"])
    assert "postfix/smtpd client=unknown[127.0.0.1]" in about(postfix, reply.queue_id)
    assert postfix.lines(r"from=<plain@example\.org>, size=\d+, nrcpt=2 ")


def test_a_login_with_a_plus_is_logged_as_it_is(postfix: Postfix) -> None:
    """Postfix does not encode logins; Sendmail would write user+2Btag."""
    (reply,) = submit(postfix.submission_port, "plus@example.org", ["x@ok.example"], login="user+tag")
    assert reply.code == 250
    assert postfix.wait_for_line(rf"{reply.queue_id}: client=.*, sasl_username=user\+tag$")


def test_a_wrong_password_leaves_one_failure_line(postfix: Postfix) -> None:
    """The client hears 535, and the log has the login that was tried, once."""
    (reply,) = submit(postfix.submission_port, "a@example.org", ["x@ok.example"], login="mallory")
    assert (reply.code, reply.stage) == (535, "auth")
    failure = rf"submission/smtpd\[\d+\]: warning: {CLIENT}: SASL PLAIN authentication failed: .*=mallory$"
    assert len(postfix.wait_for_line(failure)) == 1


def test_accounts_may_change_while_postfix_runs(postfix: Postfix) -> None:
    """The dict is looked into at each AUTH: a new account may send at once, a removed one no more."""
    postfix.accounts["newcomer"] = "secret"
    (before,) = submit(postfix.submission_port, "new@example.org", ["x@ok.example"], login="newcomer")
    del postfix.accounts["newcomer"]
    (after,) = submit(postfix.submission_port, "new@example.org", ["x@ok.example"], login="newcomer")
    assert (before.code, after.code) == (250, 535)


def test_submission_without_auth_is_rejected_at_rcpt(postfix: Postfix) -> None:
    """No queue id is spent on it: the line says NOQUEUE."""
    (reply,) = submit(postfix.submission_port, "noauth@example.org", ["x@ok.example"])
    assert (reply.code, reply.stage, reply.accepted) == (554, "rcpt", 0)
    assert postfix.wait_for_line(rf"NOQUEUE: reject: RCPT from {CLIENT}: 554 5\.7\.1 .*from=<noauth@")


def test_a_rejected_recipient_does_not_keep_the_others_from_their_mail(postfix: Postfix) -> None:
    """The reply is the refusal, and says how many recipients the message went to."""
    recipients = ["x@ok.example", "y@reject.example", "z@ok.example"]
    (reply,) = submit(postfix.submission_port, "some@example.org", recipients, login="alice")
    assert (reply.code, reply.stage, reply.accepted) == (550, "rcpt", 2)
    assert postfix.wait_for_line(r"from=<some@example\.org>, size=\d+, nrcpt=2 ")
    assert postfix.lines(r": reject: RCPT from .*: 550 5\.1\.1 <y@reject\.example>: .* User unknown;")


def test_the_next_host_takes_mail(postfix: Postfix) -> None:
    """Delivery by smtp(8) to another host is real, with relay= and the host's answer."""
    (reply,) = submit(postfix.submission_port, "a@example.org", ["x@sink.example"], login="alice")
    (line,) = postfix.wait_for_line(rf"smtp\[\d+\]: {reply.queue_id}: to=<x@sink\.example>")
    assert re.search(r"relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*status=sent \(250 2\.0\.0 Ok: taken\)", line)


@pytest.mark.parametrize(("domain", "dsn"), [("bounce.example", "5.1.1"), ("policy.example", "5.7.1")])
def test_a_refusal_by_the_next_host_bounces(postfix: Postfix, domain: str, dsn: str) -> None:
    """The delivery line has the remote answer, and the notification a queue id of its own."""
    (reply,) = submit(postfix.submission_port, "bounced@example.org", [f"x@{domain}"], login="alice")
    (line,) = postfix.wait_for_line(rf"{reply.queue_id}: to=<x@{domain}>")
    (bounce,) = postfix.wait_for_line(rf"bounce\[\d+\]: {reply.queue_id}: sender non-delivery notification: ")
    notification = bounce.rpartition(" ")[2]
    assert re.search(rf"dsn={dsn}, status=bounced \(host \S+ said: 550 {dsn} .* RCPT TO command\)\)", line)
    assert postfix.wait_for_line(rf"{notification}: from=<>, ")


def test_deferred_mail_stays_in_the_queue_until_the_next_host_takes_it(postfix: Postfix) -> None:
    """The sink's answers may be changed at any time, and a flush tries again."""
    (reply,) = submit(postfix.submission_port, "a@example.org", ["x@defer.example"], login="alice")
    assert postfix.wait_for_line(rf"{reply.queue_id}: to=.* dsn=4\.2\.1, status=deferred \(host .*: 450 ")
    wait_for(lambda: reply.queue_id in postfix.queue_ids("deferred"), 60, "the message in the queue")
    busy = postfix.replies.pop("defer.example")
    postfix.run("postqueue", "-f")
    postfix.wait_for_line(f"{reply.queue_id}: removed")
    postfix.replies["defer.example"] = busy
    assert reply.queue_id not in postfix.queue_ids()


def test_mail_from_a_program_on_this_machine_comes_by_pickup(postfix: Postfix) -> None:
    """The line has a uid in place of a client."""
    postfix.sendmail("www@example.org", ["x@ok.example"])
    assert postfix.wait_for_line(r"pickup\[\d+\]: \w+: uid=0 from=<www@example\.org>$")


def test_many_messages_in_one_session(postfix: Postfix) -> None:
    """A reply for each; 300 messages take well below a second, so a test may send what an attacker sends."""
    recipients = [f"x{number}@ok.example" for number in range(10)]
    replies = submit(postfix.submission_port, "many@example.org", recipients, login="alice", messages=30)
    assert [(reply.code, reply.accepted) for reply in replies] == [(250, 10)] * 30
    assert len(postfix.wait_for_line(r"from=<many@example\.org>, size=\d+, nrcpt=10 ", count=30)) == 30


def test_a_session_that_the_server_ends_gives_no_more_replies(postfix: Postfix) -> None:
    """After 20 errors smtpd closes with 421: the client tells so and does not raise."""
    recipients = [f"x{number}@reject.example" for number in range(25)]
    replies = submit(postfix.smtp_port, "harvest@example.org", recipients, messages=3)
    assert [(reply.code, reply.stage) for reply in replies] == [(550, "rcpt")]
    assert postfix.wait_for_line(rf"too many errors after RCPT from {CLIENT}")


# ---- the life of an instance


def test_nothing_is_left_of_an_instance() -> None:
    """No process, thread, or directory, even of one that had sessions open."""
    threads = set(threading.enumerate())
    with Postfix() as postfix, socket.create_connection(("127.0.0.1", postfix.submission_port)) as session:
        assert session.recv(100).startswith(b"220 ")
        assert len(postfix.processes()) > 2
    assert postfix.processes() == set()
    assert not postfix.directory.exists()
    assert set(threading.enumerate()) <= threads


def test_an_instance_that_cannot_start_says_why_and_leaves_nothing() -> None:
    """Another program has the port: Postfix's own words are in the error, of 3.10 those from before it has a log."""
    postfix = Postfix()
    words = rf"port {postfix.smtp_port}: Address already in use|mail system startup failed"
    with (
        socket.create_server(("127.0.0.1", postfix.smtp_port)),
        pytest.raises(RuntimeError, match=words),
        postfix,
    ):
        pass
    assert postfix.processes() == set()
    assert not postfix.directory.exists()


def test_instances_run_side_by_side_and_start_again_with_what_they_had() -> None:
    """Queue, log and ports outlive a stop, and another instance does not notice."""
    with Postfix() as first, Postfix() as second:
        submit(first.submission_port, "a@example.org", ["x@defer.example"], login="alice")
        first.wait_for_line("status=deferred")
        first.stop()
        assert first.processes() == set()
        first.start()
        assert len(first.queue_ids()) == 1
        assert submit(second.smtp_port, "a@example.org", ["x@ok.example"])[0].code == 250
        assert first.wait_for_line("daemon started", count=2)
        assert second.queue_ids("deferred") == []


def test_lines_keep_coming_when_the_log_is_rotated() -> None:
    """The renamed log grows no more, the new one comes with the next line, and sessions go on."""
    with Postfix() as postfix, socket.create_connection(("127.0.0.1", postfix.smtp_port)) as session:
        assert session.recv(100).startswith(b"220 ")
        submit(postfix.smtp_port, "one@example.org", ["x@ok.example"])
        postfix.wait_for_line("removed")
        old = postfix.rotate()
        size = old.stat().st_size
        submit(postfix.smtp_port, "two@example.org", ["x@ok.example"])
        postfix.wait_for_line("removed", count=2)
        assert "two@example.org" in postfix.log_path.read_text()
        assert (old.name, old.stat().st_size) == ("mail.log.1", size)
        postfix.rotate()
        session.sendall(b"NOOP\r\n")
        assert session.recv(100).startswith(b"250 ")
        assert [path.name for path in postfix.logs()][:2] == ["mail.log.2", "mail.log.1"]
        assert [line.split("<")[1][:3] for line in postfix.lines("from=<")] == ["one", "two"]


def test_a_renamed_log_is_written_on_until_postfix_is_told() -> None:
    """What a follower must live with: before the signal, lines go to the file with the new name."""
    with Postfix() as postfix:
        renamed = postfix.log_path.rename(postfix.log_path.with_name("mail.log.1"))
        submit(postfix.smtp_port, "late@example.org", ["x@ok.example"])
        postfix.wait_for_line("late@example.org")
        assert "late@example.org" in renamed.read_text()
        assert not postfix.log_path.exists()


def test_settings_may_be_changed_by_a_reload() -> None:
    """The first session after it has the new ones."""
    with Postfix(extra={"smtpd_recipient_limit": "2"}) as postfix:
        recipients = ["x@ok.example", "y@ok.example", "z@ok.example"]
        (before,) = submit(postfix.smtp_port, "a@example.org", recipients)
        postfix.reload({"smtpd_recipient_limit": "3"})
        (after,) = submit(postfix.smtp_port, "a@example.org", recipients)
    assert (before.code, before.accepted, after.code, after.accepted) == (452, 2, 250, 3)


def test_mail_flows_when_the_milter_is_not_there() -> None:
    """The default action is accept; the log has a warning that names the socket."""
    with Postfix(milter="unix:/tmp/nobody.sock") as postfix:
        (reply,) = submit(postfix.submission_port, "a@example.org", ["x@ok.example"], login="alice")
        assert reply.code == 250
        assert postfix.wait_for_line("warning: connect to Milter service unix:/tmp/nobody.sock: No such file")


# ---- the parts


def test_a_missing_postfix_is_an_error_with_its_remedy() -> None:
    """A test that needs it fails, and says which package and which make target help."""
    with pytest.raises(RuntimeError, match=r"`make test` installs the Debian package postfix"):
        require_postfix(path="/nowhere")


def test_a_wait_in_vain_shows_the_end_of_the_log(tmp_path: Path) -> None:
    """The error says what was awaited, and has the log's last lines, not the first."""
    log = tmp_path / "mail.log"
    log.write_text("".join(f"line {number}\n" for number in range(1, 101)))
    with pytest.raises(AssertionError, match=r"a miracle.*100 lines of .*\nline 71\n(.*\n)*line 100"):
        wait_for(lambda: False, 0, "a miracle", log)
    with pytest.raises(AssertionError, match="is not there"):
        wait_for(lambda: None, 0, "a miracle", tmp_path / "none")


def response(login: str, password: str) -> str:
    """What AUTH PLAIN sends."""
    return b64encode(f"\0{login}\0{password}".encode()).decode()


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (f"AUTH\t1\tPLAIN\tservice=smtp\tresp={response('alice', 'secret')}", "OK\t1\tuser=alice\n"),
        (f"AUTH\t2\tPLAIN\tservice=smtp\tresp={response('alice', 'wrong')}", "FAIL\t2\tuser=alice\n"),
        (f"AUTH\t3\tPLAIN\tservice=smtp\tresp={response('bob', '')}", "FAIL\t3\tuser=bob\n"),
        ("AUTH\t4\tPLAIN\tservice=smtp", "CONT\t4\t\n"),
        (f"CONT\t4\t{response('alice', 'secret')}", "OK\t4\tuser=alice\n"),
        ("CONT\t5\t!", "FAIL\t5\treason=malformed response\n"),
        ("AUTH\t6\tLOGIN\tservice=smtp", "FAIL\t6\treason=mechanism not offered\n"),
        ("CONT\t7\t" + response("a\tOK", "x"), "FAIL\t7\tuser=a\x01tOK\n"),
    ],
)
def test_the_auth_server_answers(said: str, answer: str) -> None:
    """One sentence of the client, one of the server; a login cannot break out of its field."""
    answers = list(sasl.converse({"alice": "secret"}, iter(["VERSION\t1\t1", "CPID\t7", said])))
    assert answers[-2:] == ["DONE\n", answer]


def test_the_auth_server_forgets_its_socket(tmp_path: Path) -> None:
    """It is there, for any user, as long as the server is."""
    path = tmp_path / "auth.sock"
    with sasl.AuthServer(path, {}):
        assert path.stat().st_mode & 0o777 == 0o666
    assert not path.exists()


def test_the_sink_answers_by_domain() -> None:
    """A domain without an answer is accepted, and a message's lines are no commands."""
    said = [
        "EHLO mx1",
        "RCPT TO:<a@Defer.example> X=1",
        "RCPT TO:<b@else.example>",
        "DATA",
        "QUIT",
        ".",
        "QUIT",
        "x",
    ]
    answers = [answer[:3] for answer in sink.converse(sink.REPLIES, iter(said))]
    assert answers == ["220", "250", "450", "250", "354", "250", "221"]
