"""A real Postfix whose mail goes through a content filter and back: each message counts once, for its sender."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from logwatch.reading.attribute import Attribution
from logwatch.reading.scan import Scanner
from logwatch.reading.stamp import Stamps
from logwatch.schema import ATTRIBUTED

from .client import submit
from .postfix import Postfix
from .serving import LineServer

ANSWERS: Mapping[str, str] = {"DATA": "354 go on", "QUIT": "221 2.0.0 Bye"}


class Filter:
    """Takes mail, hands it back by SMTP to `port`, and answers as amavisd-new does."""

    def __init__(self) -> None:
        self.port = 0
        self.server = LineServer(self.converse)

    def converse(self, lines: Iterator[str]) -> Iterator[str]:
        """The filter's side of one connection."""
        yield "220 filter.example ESMTP\r\n"
        recipients: list[str] = []
        for line in lines:
            command = line[:4].upper()
            if command == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
            yield ANSWERS.get(command, "250 2.0.0 Ok") + "\r\n"
            if command == "QUIT":
                return
            if command == "DATA":
                body = "".join(f"{line}\r\n" for line in iter(lambda: next(lines, "."), "."))
                (reply,) = submit(self.port, "filtered@example.org", recipients, body=body)
                answer = f"250 2.0.0 Ok: queued as {reply.queue_id}"
                yield f"250 2.0.0 from MTA(smtp:[127.0.0.1]:{self.port}): {answer}\r\n"


def events(postfix: Postfix, queue_ids: set[bytes]) -> list[tuple[str, str | None, bool]]:
    """Event, account, and whether it counts, of all that the log has of these messages."""
    text = "".join(f"{line}\n" for line in postfix.lines()).encode()
    columns = Attribution().attribute(Scanner(Stamps(UTC, datetime.now(UTC).timestamp())).scan(text))
    rows = zip(*(columns[name].tolist() for name in ("queue_id", "event", *ATTRIBUTED)), strict=True)
    return [(event, account, counts) for queue_id, event, account, _, _, counts in rows if queue_id in queue_ids]


def test_mail_through_a_filter_without_xforward_counts_once() -> None:
    """The second leg has another queue id, no login, and is logged before the first leg's delivery."""
    content_filter = Filter()
    with content_filter.server:
        route = f"FILTER smtp:[127.0.0.1]:{content_filter.server.port}"
        restriction = f"check_sasl_access inline:{{ {{ alice = {route} }} }}"
        with Postfix(extra={"smtpd_recipient_restrictions": restriction}) as postfix:
            content_filter.port = postfix.smtp_port
            (reply,) = submit(
                postfix.submission_port, "a@example.org", ["x@sink.example", "y@bounce.example"], login="alice"
            )
            (line,) = postfix.wait_for_line(f"{reply.queue_id}: to=<x@sink.example>, .*queued as ")
            second = line.rpartition(" ")[2].rstrip(")")
            postfix.wait_for_line(f"{second}: removed")
            postfix.wait_for_line(f"{reply.queue_id}: removed")
            found = events(postfix, {reply.queue_id.encode(), second.encode()})
    counted = [event for event, account, counts in found if account == "account:alice" and counts]
    assert counted.count("queued") == 1
    assert counted.count("delivery") == 4  # two to the filter, and what became of them
    assert [event for event, account, _ in found if account != "account:alice"] == ["accept"]  # by the filter
