"""`mailbrake explain`: what each part of a line is, or where it stops."""

import pyparsing as pp
import pytest

from logwatch.commands import main
from logwatch.reading.grammar import line
from logwatch.reading.grammar.explain import explain, wanted

from .samples import Sample, by_regex, samples

READ = [sample for sample in samples() if isinstance(sample.expect, dict)]


@pytest.mark.parametrize("sample", READ[:: max(1, len(READ) // 60)], ids=lambda sample: sample.where)
def test_the_pieces_follow_each_other_and_those_with_a_name_are_the_fields(sample: Sample) -> None:
    """Pieces follow each other from the first character on, and those with a name are the event's fields."""
    text = sample.raw.rstrip(b"\r\n").decode("latin-1")
    found = explain(text)
    assert found.event == sample.expect["event"]
    ends = [0, *(piece.end for piece in found.pieces)]
    assert [piece.begin for piece in found.pieces] == ends[:-1]
    columns = {piece.column: text[piece.begin : piece.end].encode("latin-1") for piece in found.pieces if piece.column}
    read = by_regex(sample.raw)
    assert read is not None
    assert columns == {name: value for name, value in read[1].items() if value}


def fails(token: pp.ParserElement, text: str) -> bool:
    try:
        token.parse_string(text + "\n")
    except pp.ParseException:
        return True
    return False


def test_a_cut_line_is_told_with_where_it_stops_and_what_was_expected() -> None:
    """A cut line: what it should have been, how far it can be read, and what was expected there."""
    found = explain("Nov 25 03:27:47 mx1 postfix/smtp[4]: 4ABCDEF: to=<a@b>, relay=none, delay=0.5, del")
    assert (found.event, found.dialect, found.meant) == ("", "postfix", "delivery")
    assert found.text[found.stop :] == ", del"
    assert "', status='" in found.expected


def test_a_line_that_stops_at_once_names_all_that_it_could_have_begun_with() -> None:
    """Both kinds of stamps, and not what the last dialect alone wanted."""
    found = explain("hello")
    assert found.stop == 0
    assert "stamp: such as Nov 25 03:27:47 or 2026-11-25T03:27:47+01:00" in found.expected
    assert "a program: postfix/DAEMON" in found.expected


def test_what_is_expected_is_said_in_words() -> None:
    """Each part of the grammar that some line may lack has words, and none of them is a regular expression."""
    lines = ["", "x", "  =", ", ;", "\x01\xe9", "<>"]
    tokens = [token for token in line().visit_all() if isinstance(token, (pp.Regex, pp.Literal))]  # type: ignore[no-untyped-call]
    missed = [token for token in tokens if any(fails(token, text) for text in lines)]
    assert len(missed) > len(tokens) / 2
    for token in missed:
        words = wanted(token)
        assert isinstance(token, pp.Literal) or not any(sign in words for sign in ("[^", "(?", "]*", "]+", "\\")), words


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("Nov 25 03:27:47 mx1 postfix/smtpd[4]: connect from x[192.0.2.1]", 0, "event: connect (postfix)"),
        ("Nov 25 03:27:47 mx1 postfix/smtpd[4]: message repeated 3 times: [ connect from x[::1]]", 0, "3 times more"),
        ("Nov 25 03:27:47 mx1 postfix/smtp[4]: 4ABCDEF: to=<a", 1, "begins like delivery (postfix)"),
        ("Nov 25 03:27:47 mx1 postfix/smtpd[4]: warning: odd", 1, "a line of postfix that tells nothing of mail"),
        ("Nov 25 03:27:47 mx1 sshd[4]: hello", 1, "no program that is known here"),
        ("Nov 25 03:27:47 mx1 sshd[4]: hello", 1, "a program: postfix/DAEMON, mailbrake[PID], sm-mta"),
        ("Nov 25 03:27:47 mx1 dovecot: imap-login: Login: user=<x>, met", 1,
         "sasl_username: a login up to '>, method=METHOD, rip=ADDRESS'"),
        ("\x1b[2J", 1, "before '?[2J'"),
        ('{"MESSAGE":"connect from x[192.0.2.1]","SYSLOG_IDENTIFIER":"postfix/smtpd","_PID":"4",'
         '"__REALTIME_TIMESTAMP":"1790812801000000","_HOSTNAME":"mx1"}', 0, "event: connect (postfix)"),
    ],
)  # fmt: skip
def test_the_command_says_what_a_line_is_or_why_it_is_no_event(
    line: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what the line is; status 1 where it is no event."""
    assert main(["explain", line]) == status
    assert said in capsys.readouterr().out


def test_a_line_without_quotes_is_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    """The shell has taken it apart, and how many blanks there were nobody knows."""
    assert main(["explain", "Nov", "5", "03:27:47", "mx1"]) == 2
    assert "put the line in single quotes" in capsys.readouterr().err
