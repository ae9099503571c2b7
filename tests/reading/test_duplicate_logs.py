"""Logs that hold the same lines are found; others never."""

import gzip
from pathlib import Path

import pytest

from logwatch.reading.duplicate_logs import twice


def lines(begin: int, end: int, host: str = "mx1") -> list[bytes]:
    return [
        b"Nov 25 03:%02d:%02d %s postfix/smtpd[%d]: connect from a.example[192.0.2.1]\n"
        % (number // 60, number % 60, host.encode(), number)
        for number in range(begin, end)
    ]


def written(path: Path, text: list[bytes]) -> str:
    path.write_bytes(b"".join(text))
    return str(path)


def test_a_log_of_all_daemons_has_the_mail_servers_lines(tmp_path: Path) -> None:
    """`mail.log` was rotated at another time, and `syslog` has other lines between."""
    mail = written(tmp_path / "mail.log", lines(100, 200))
    cron = [line.replace(b"postfix/smtpd", b"CRON") for line in lines(0, 200)]
    both = written(tmp_path / "syslog", sorted(lines(50, 200) + cron))
    alone = written(tmp_path / "cron.log", cron[:100])
    assert twice([mail, both]) == [(mail, both)]
    assert twice([mail, alone]) == []
    assert twice([mail, both, alone]) == [(alone, both), (mail, both)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(lines(0, 100), lines(0, 100, "mx2"), id="two hosts"),
        pytest.param(lines(0, 100), lines(100, 200), id="two parts of one log"),
        pytest.param(lines(0, 100), lines(96, 200), id="a few lines that were copied"),
        pytest.param([b"\n", b"-- mark --\n"] * 50, [b"\n", b"-- mark --\n"] * 50, id="lines without anything in them"),
        pytest.param([], lines(0, 100), id="one that is empty"),
    ],
)
def test_logs_of_different_things_share_no_lines(tmp_path: Path, one: list[bytes], other: list[bytes]) -> None:
    assert twice([written(tmp_path / "one", one), written(tmp_path / "other", other)]) == []


def test_what_cannot_be_compared_is_left_out(tmp_path: Path) -> None:
    """Packed files, standard input, what is not there, the same file named twice."""
    mail = written(tmp_path / "mail.log", lines(0, 100))
    packed = tmp_path / "mail.info.gz"
    packed.write_bytes(gzip.compress(b"".join(lines(0, 100))))
    assert twice([mail, mail, str(packed), "-", str(tmp_path / "gone"), str(tmp_path)]) == []
