"""How each channel sends, what it does when that fails, and that a check finds channels that cannot be had."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from enforce import config as configuration
from logwatch.commands import main
from logwatch.telling.notify import channels_of
from logwatch.telling.notify.channels import Channel, UnsentError
from tests.enforce.gate import Gate
from tests.enforce.records import record
from tests.telling.receivers import Hook, Mailbox

from .notices import HOST, braked, channel, message


def failure(of: Channel) -> UnsentError:
    with pytest.raises(UnsentError) as raised:
        of.send(message(braked(1)))
    return raised.value


class TestMail:
    @pytest.fixture
    def by_mail(self, mailbox: Mailbox) -> Channel:
        return channel(mail_to=["abuse@example.com", "noc@example.com"], smtp=mailbox.where)

    def test_arrives(self, mailbox: Mailbox, by_mail: Channel) -> None:
        """To all, in one transaction, as mail that no auto-responder answers."""
        sent = message(braked(1, key="account:jörg@example.com"))
        by_mail.send(sent)
        (letter,), (envelope,) = mailbox.letters, mailbox.envelopes
        assert envelope == (f"mailbrake@{HOST}", ["abuse@example.com", "noc@example.com"])
        assert letter["Subject"] == sent.subject(HOST)
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["To"] == "abuse@example.com, noc@example.com"
        assert letter.get_content().replace("\r\n", "\n") == sent.text()

    @pytest.mark.parametrize(("answer", "again"), [("451 4.3.0 later", True), ("554 5.7.1 no", False)])
    def test_is_tried_again_if_that_may_help(
        self, mailbox: Mailbox, by_mail: Channel, answer: str, again: bool
    ) -> None:
        """A 4xx may, a 5xx may not."""
        mailbox.answers = [answer]
        error = failure(by_mail)
        assert (error.again, str(error)) == (again, f"{mailbox.where} answers {answer[:3]}")

    @pytest.mark.parametrize(("answer", "again"), [("450 4.2.0 later", True), ("550 5.1.1 no", False)])
    def test_says_that_every_recipient_is_refused(
        self, mailbox: Mailbox, by_mail: Channel, answer: str, again: bool
    ) -> None:
        """Tried again only if somebody may take it later."""
        mailbox.refuses = dict.fromkeys(("abuse@example.com", "noc@example.com"), answer)
        error = failure(by_mail)
        assert (error.again, str(error)) == (again, f"{mailbox.where} refuses every recipient ({answer[:3]})")

    def test_says_which_recipient_is_refused(self, mailbox: Mailbox, by_mail: Channel) -> None:
        """The others have it, and do not get it again."""
        mailbox.refuses = {"noc@example.com": "550 5.1.1 no"}
        error = failure(by_mail)
        assert not error.again
        assert "refuses noc@example.com" in str(error)
        assert len(mailbox.letters) == 1

    def test_waits_for_an_mta_that_is_down(self) -> None:
        """It is tried again."""
        with socket.create_server(("127.0.0.1", 0)) as unused:
            where = f"127.0.0.1:{unused.getsockname()[1]}"
        assert failure(channel(mail_to=["a@example.com"], smtp=where)).again

    def test_waits_for_a_server_whose_name_is_none(self) -> None:
        """As for one that is not there: what cannot be looked up must not end the thread that sends."""
        error = failure(channel(mail_to=["a@example.com"], smtp="mail..example.com:25"))
        assert error.again

    @pytest.mark.parametrize(
        "host", ["mäx1.example.com", "m\udce4x1.example.com", "m x1.example.com", "m\nx1.example.com"]
    )
    def test_leaves_a_host_whose_name_no_address_may_have(self, tmp_path: Path, host: str) -> None:
        """Whatever bytes a machine is called: that must not end the thread that sends."""
        script = f"import sys, pathlib; pathlib.Path({str(tmp_path / 'out')!r}).write_text(sys.argv[2])"
        parsed = configuration.parse(
            {"notify": {"mail_to": ["noc@example.com"], "sendmail": [sys.executable, "-c", script]}}, "test"
        )
        (by_mail,), _ = channels_of(parsed.notify, host)
        by_mail.send(message(braked(1)))
        assert (tmp_path / "out").read_text() == "mailbrake@m-x1.example.com"

    def test_can_go_through_the_sendmail_command(self, tmp_path: Path) -> None:
        """Which gets sender and recipients as arguments, and no shell sees them."""
        script = f"import sys, pathlib; pathlib.Path({str(tmp_path / 'out')!r}).write_text("
        script += "repr(sys.argv[1:]) + chr(10) + sys.stdin.read())"
        channel(
            mail_to=["a`id`@example.com"], mail_from="mb@example.com", sendmail=[sys.executable, "-c", script, "-i"]
        ).send(message(braked(1)))
        arguments, _, letter = (tmp_path / "out").read_text().partition("\n")
        assert arguments == "['-i', '-f', 'mb@example.com', 'a`id`@example.com']"
        assert "Subject: [mailbrake" in letter

    def test_is_not_braked_by_ourselves(self) -> None:
        """A real Postfix, our milter with its default exemptions, and a record that blocks this very client."""
        with Gate("postfix", more="") as gate:
            gate.deny(record("block"))
            by_mail = channel(mail_to=["r1@sink.example"], smtp=f"127.0.0.1:{gate.mta.smtp_port}")
            by_mail.send(message(braked(1)))
            assert gate.mta.wait_for_line("to=<r1@sink.example>.*status=sent")


class TestWebhook:
    def test_gets_the_json(self, hook: Hook) -> None:
        """In one POST to the whole URL."""
        sent = message(braked(1))
        channel(webhooks=[hook.url]).send(sent)
        assert hook.posted == [json.loads(sent.as_json(HOST))]
        assert hook.paths == ["/hook?token=secret"]

    @pytest.mark.parametrize(("status", "again"), [(500, True), (429, True), (404, False), (302, False)])
    def test_is_tried_again_if_that_may_help(self, hook: Hook, status: int, again: bool) -> None:
        """A redirect is not followed: the body would be lost on the way. Nothing secret is said."""
        hook.statuses = [status]
        error = failure(channel(webhooks=[hook.url]))
        assert (error.again, str(error)) == (again, f"{hook.where} answers {status}")
        assert len(hook.paths) == 1

    @pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n"])
    def test_survives_whatever_is_answered(self, answer: bytes) -> None:
        """Nothing, or nonsense."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            tries = subprocess.Popen(
                [sys.executable, "-c", _ANSWERING, str(server.fileno()), answer.hex()], pass_fds=[server.fileno()]
            )
            error = failure(channel(webhooks=[f"http://127.0.0.1:{server.getsockname()[1]}/?secret"]))
            tries.wait(10)
        assert error.again
        assert "secret" not in str(error)


_ANSWERING = """
import socket, sys
connection, _ = socket.socket(fileno=int(sys.argv[1])).accept()
connection.recv(65536)
connection.sendall(bytes.fromhex(sys.argv[2]))
connection.close()
"""


class TestCommand:
    @staticmethod
    def running(script: str, *arguments: str) -> Channel:
        return channel(command=[sys.executable, "-c", script, *arguments])

    def test_gets_the_json_on_its_standard_input(self, tmp_path: Path) -> None:
        """Its arguments are taken as they are: no shell."""
        out = tmp_path / "out"
        sent = message(braked(1))
        script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2] + sys.stdin.read())"
        self.running(script, str(out), "$(id); rm *").send(sent)
        assert out.read_text() == f"$(id); rm *{sent.as_json(HOST)}\n"

    @pytest.mark.parametrize(("status", "again"), [(1, False), (75, True)])
    def test_that_fails_is_called_again_only_if_it_asks_to(self, status: int, again: bool) -> None:
        """With EX_TEMPFAIL; what else it did is not known, and not done twice."""
        error = failure(self.running(f"import sys; sys.stderr.write('no pager'); sys.exit({status})"))
        assert error.again == again
        assert str(error).endswith(f"ended with status {status}: no pager")

    def test_that_is_missing_is_said(self) -> None:
        """With its name."""
        error = failure(channel(command=["/nowhere/pager"]))
        assert (error.again, str(error)) == (False, "/nowhere/pager: No such file or directory")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise's own, up to Python 3.12
class TestApprise:
    def test_reaches_what_apprise_reaches(self, hook: Hook) -> None:
        """Here its own JSON service."""
        sent = message(braked(1))
        channel(apprise=[f"json://{hook.where}/"]).send(sent)
        (posted,) = hook.posted
        assert posted["title"] == sent.subject(HOST)
        assert posted["message"].strip() == sent.text().strip()

    def test_is_tried_again(self, hook: Hook) -> None:
        """As Apprise does not say why it failed."""
        hook.statuses = [500]
        error = failure(channel(apprise=[f"json://{hook.where}/secret"]))
        assert (error.again, str(error)) == (True, "json://… did not take it")

    def test_an_unknown_service_is_said_and_the_others_serve(self) -> None:
        """Without the rest of the URL."""
        parsed = configuration.parse({"notify": {"apprise": ["nosuch://secret"], "command": ["true"]}}, "test")
        channels, problems = channels_of(parsed.notify, HOST)
        assert [channel.name for channel in channels] == ["command"]
        assert problems == ["notifications: nosuch://…: Apprise does not know what to do with this URL"]

    def test_what_to_install_is_said(self) -> None:
        """Where it is missing: here, a process that may not import it."""
        code = (
            "import sys; sys.modules['apprise'] = None\nfrom enforce import config\n"
            "from logwatch.telling.notify import channels_of\n"
            "print(channels_of(config.parse({'notify': {'apprise': ['ntfy://x']}}, '').notify, 'h')[1])"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "notifications: ntfy://… needs Apprise: pip install 'mailbrake[apprise]'" in run.stdout


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_the_check_of_a_configuration_finds_channels_that_cannot_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the controller has to do without them."""
    configured = tmp_path / "mailbrake.toml"
    configured.write_text(f'[log]\nfiles = ["{configured}"]\n[notify]\napprise = ["nosuch://secret"]\n')
    assert main(["check", "--config", str(configured)]) == 1
    assert capsys.readouterr().err == (
        "mailbrake: notifications: nosuch://…: Apprise does not know what to do with this URL\n"
    )
