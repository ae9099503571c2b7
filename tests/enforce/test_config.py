"""The configuration: every default is valid, every mistake is told with its place and its remedy."""

import dataclasses
from pathlib import Path

import pytest

from enforce.config import Config, ConfigError, effective, load, render

_SWITCHES = "true or false without quotes"
_DURATIONS = 'a duration such as "90s", "10m", "1h" or "7d"'
_SOCKETS = '"unix:/run/mailbrake/milter.sock" or "inet:8891@127.0.0.1" (port first, then host)'


_NETWORKS = 'a list of addresses and networks such as ["127.0.0.0/8", "::1"]'
_TEXTS = 'sentences by action such as { tempfail = "Slow down" }'
_ADDRESSES = 'a list of addresses such as ["abuse@example.com"]'
_HOOKS = 'a list of URLs such as ["https://example.com/hook"], with no user and password in them'
_SERVERS = 'a list of servers such as ["tls://stream.example.com:4222"] (nats:// only for 127.0.0.1)'
_NAME = 'a name of letters, digits, - and _, such as "mx1"'
_ENDPOINTS = 'an address and a port such as "127.0.0.1:9631" or "[::1]:9631"'
_FILES = 'absolute paths by format such as { postfix-sasl = "/etc/x" }'


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "mailbrake.toml"


def test_an_empty_file_is_a_valid_observing_configuration(written: Path) -> None:
    written.touch()
    assert load(written) == Config(file=str(written))
    assert load(None) == Config()
    assert load(written).policy.mode == "observe"


def test_the_rendered_sample_is_the_defaults_commented_out_or_not(written: Path) -> None:
    for sample in (
        render(),
        "".join(line.removeprefix("#") if " = " in line else line for line in render().splitlines(True)),
    ):
        written.write_text(sample)
        assert load(written) == Config(file=str(written))


def test_values_arrive_as_they_are_meant(written: Path) -> None:
    written.write_text(
        '[log]\nfiles = ["/a", "/b*"]\nzone = "Europe/Berlin"\nkeep_case = true\n'
        '[policy]\nmode = "enforce"\n[state]\ndirectory = "/s"\nlease = "90m"\n'
        '[milter]\nsocket = "inet6:8891@::1"\nsocket_mode = "0600"\n'
    )
    config = load(written)
    assert config.log.files == ("/a", "/b*")
    assert (config.log.keep_case, config.policy.mode, config.state.lease) == (True, "enforce", 5400)
    assert (config.milter.socket, config.milter.socket_mode) == ("inet6:8891@::1", 0o600)
    assert (str(config.table), str(config.journal)) == ("/s/table", "/s/journal.sqlite")


def test_the_milters_values_arrive_as_they_are_meant(written: Path) -> None:
    written.write_text(
        '[milter]\njudge = "clients"\nexempt = []\ntexts = { block = "Closed\\nfor good" }\n'
        '[export]\nfiles = { text = "/x" }\ncommand = []\n'
    )
    config = load(written)
    assert (config.milter.judge, config.milter.exempt) == ("clients", ())
    assert config.milter.texts == {"block": "Closed\nfor good"}
    assert (config.export.files, config.export.command) == ({"text": "/x"}, ())


def test_the_values_of_notifications_and_metrics_arrive_as_they_are_meant(written: Path) -> None:
    written.write_text(
        '[notify]\nabout = ["guard"]\nevery = "1h"\nmail_to = ["a+b@example.com"]\nsmtp = "[::1]:587"\n'
        'webhooks = ["https://example.com/x?token=1"]\napprise = ["ntfys://host/topic"]\n'
        '[metrics]\nwatch = "[::1]:9631"\nmilter = ""\n'
    )
    notify, metrics = load(written).notify, load(written).metrics
    assert (notify.about, notify.every, notify.mail_to, notify.smtp) == (
        ("guard",),
        3600,
        ("a+b@example.com",),
        "[::1]:587",
    )
    assert (notify.webhooks, notify.apprise) == (("https://example.com/x?token=1",), ("ntfys://host/topic",))
    assert (metrics.watch, metrics.milter) == ("[::1]:9631", "")


def test_secrets_in_urls_are_not_told(written: Path) -> None:
    written.write_text('[notify]\nwebhooks = ["https://example.com/x?token=1"]\napprise = ["ntfys://user:pw@host"]\n')
    rows = effective(load(written))
    assert '[notify] webhooks = ["https://…"]' in rows
    assert '[notify] apprise = ["ntfys://…"]' in rows


def test_options_in_force_are_told_as_they_would_be_written(written: Path) -> None:
    written.write_text('[milter]\nsocket_mode = "0600"')
    rows = effective(load(written))
    assert rows[0] == f"configuration: {written}"
    assert '[milter] socket_mode = "0600"' in rows
    assert '[milter] exempt = ["127.0.0.0/8", "::1/128"]' in rows
    assert '[state] keep = "180d"' in rows


def test_options_in_force_can_be_written_back(written: Path) -> None:
    """Section by section they are a configuration, and the same one."""
    written.write_text(
        '[milter]\ntexts = { block = "a \\"b\\"" }\n[state]\nkeep = "36h"\n[cluster]\nspool = "1500MB"\n'
    )
    config, again = load(written), written.with_name("again.toml")
    rows = [row.partition("] ") for row in effective(config)[1:]]
    sections = dict.fromkeys(section for section, _, _ in rows)
    again.write_text("".join(f"{s}]\n" + "".join(f"{o}\n" for t, _, o in rows if s == t) for s in sections))
    assert dataclasses.replace(load(again), file="") == dataclasses.replace(config, file="")


def test_the_table_may_stand_elsewhere(written: Path) -> None:
    written.write_text('[milter]\ntable = "/t"')
    assert load(written).table == Path("/t")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[mitler]", "[mitler]: no such section; did you mean milter?"),
        (
            "[zzz]",
            "[zzz]: no such section; "
            "known are log, policy, reputation, state, milter, export, notify, metrics, cluster",
        ),
        ("milter = 1", "milter: is a section: write [milter] on a line of its own"),
        ("[milter]\nsokcet = 1", "[milter] sokcet: no such option; did you mean socket?"),
        ("[policy]\nzzz = 1", "[policy] zzz: no such option; known are file, mode"),
        ('[policy]\nmode = "on"', '[policy] mode: expected "observe" or "enforce", found \'on\''),
        ("[policy]\nfile = 7", "[policy] file: expected a string in quotes, found 7"),
        ('[policy]\nfile = "a\\nb"', "[policy] file: expected a string in quotes, found 'a\\nb'"),
        ('[state]\nlease = "1 hour"', f"[state] lease: expected {_DURATIONS}, found '1 hour'; did you mean \"1h\"?"),
        ("[state]\nlease = 3600", f"[state] lease: expected {_DURATIONS}, found 3600"),
        ('[state]\nlease = "0h"', f"[state] lease: expected {_DURATIONS}, found '0h'"),
        ('[state]\nlease = "9999999d"', "[state] lease: expected 100 years at most (\"36500d\"), found '9999999d'"),
        ('[log]\nkeep_case = "yes"', f"[log] keep_case: expected {_SWITCHES}, found 'yes'"),
        (
            '[log]\nzone = "Berlin"',
            '[log] zone: expected a time zone such as "Europe/Berlin" or "UTC", found \'Berlin\'; '
            "did you mean Europe/Berlin?",
        ),
        (
            '[log]\nfiles = "/var/log/mail.log"',
            "[log] files: expected a list of strings such as [\"/var/log/mail.log\"], found '/var/log/mail.log'",
        ),
        ("[log]\nfiles = []", '[log] files: expected a list of strings such as ["/var/log/mail.log"], found []'),
        ('[milter]\nsocket = "8891"', f"[milter] socket: expected {_SOCKETS}, found '8891'"),
        ('[milter]\nsocket = "inet:99999@::"', f"[milter] socket: expected {_SOCKETS}, found 'inet:99999@::'"),
        ('[milter]\nsocket = "unix:relative"', f"[milter] socket: expected {_SOCKETS}, found 'unix:relative'"),
        (
            "[milter]\nsocket_mode = 660",
            '[milter] socket_mode: expected a file mode in quotes such as "0660", found 660',
        ),
        (
            '[milter]\njudge = "none"',
            '[milter] judge: expected "both", "accounts" (submission only) or "clients" (MX only), found \'none\'',
        ),
        ('[milter]\nexempt = ["localhost"]', f"[milter] exempt: expected {_NETWORKS}, found ['localhost']"),
        ('[milter]\nexempt = "::1"', f"[milter] exempt: expected {_NETWORKS}, found '::1'"),
        (
            '[milter]\ntexts = { tempfial = "x" }',
            "[milter] texts: no reply is given for 'tempfial'; did you mean tempfail?",
        ),
        ('[milter]\ntexts = { block = "a\\tb" }', f"[milter] texts: expected {_TEXTS}, found {{'block': 'a\\tb'}}"),
        ('[milter]\ntexts = "x"', f"[milter] texts: expected {_TEXTS}, found 'x'"),
        (
            '[export]\nfiles = { postfix-sas = "/x" }',
            "[export] files: no such format: postfix-sas; did you mean postfix-sasl?",
        ),
        ('[export]\nfiles = { text = "x" }', f"[export] files: expected {_FILES}, found {{'text': 'x'}}"),
        (
            '[export]\ncommand = "postmap x"',
            '[export] command: expected a list of words such as ["/usr/sbin/sendmail", "-i"], found \'postmap x\'',
        ),
        (
            '[notify]\nabout = ["gard"]',
            "[notify] about: there are no notifications about 'gard'; did you mean guard?",
        ),
        ('[notify]\nmail_to = ["-oQ/tmp@x"]', f"[notify] mail_to: expected {_ADDRESSES}, found ['-oQ/tmp@x']"),
        (
            '[notify]\nmail_to = ["a@x\\nBcc: b@x"]',
            f"[notify] mail_to: expected {_ADDRESSES}, found ['a@x\\nBcc: b@x']",
        ),
        (
            '[notify]\nmail_from = "abuse"',
            "[notify] mail_from: expected an address such as \"abuse@example.com\", found 'abuse'",
        ),
        (
            '[notify]\nsmtp = "localhost"',
            "[notify] smtp: expected a host and a port such as \"localhost:25\", found 'localhost'",
        ),
        (
            '[notify]\nwebhooks = ["file:///etc/passwd"]',
            f"[notify] webhooks: expected {_HOOKS}",
        ),
        ('[notify]\nwebhooks = ["https://user:secret@example.com/"]', f"[notify] webhooks: expected {_HOOKS}"),
        ('[notify]\nwebhooks = ["https://[::1/hook"]', f"[notify] webhooks: expected {_HOOKS}"),
        ('[notify]\nmail_to = ["a:;b@x"]', f"[notify] mail_to: expected {_ADDRESSES}, found ['a:;b@x']"),
        (
            '[notify]\napprise = ["topic"]',
            '[notify] apprise: expected a list of URLs such as ["ntfys://example.com/topic"]',
        ),
        ('[metrics]\nwatch = "9631"', f"[metrics] watch: expected {_ENDPOINTS}, found '9631'"),
        ('[metrics]\nmilter = "127.0.0.1:99999"', f"[metrics] milter: expected {_ENDPOINTS}, found '127.0.0.1:99999'"),
        ('[metrics]\nwatch = "1.2.3.400:1"', f"[metrics] watch: expected {_ENDPOINTS}, found '1.2.3.400:1'"),
        (
            '[cluster]\nservers = ["nats://mx:4222"]',
            f"[cluster] servers: expected {_SERVERS}, found ['nats://mx:4222']",
        ),
        ('[cluster]\nname = "mx1.example.com"', f"[cluster] name: expected {_NAME}, found 'mx1.example.com'"),
        ('[cluster]\nspool = "1TB"', '[cluster] spool: expected a size such as "256MB" or "4GB", found \'1TB\''),
        ('[cluster]\nlate = "1h"', "[cluster] late: expected 55m at most, found '1h'"),
        ("[cluster]\nreplicas = 9", "[cluster] replicas: expected a whole number from 1 to 5, found 9"),
        (
            '[cluster]\nhosts = { mx1 = "mx2" }',
            "[cluster] hosts: expected names by gateway such as { mx1 = [\"mx1.example.com\"] }, found {'mx1': 'mx2'}",
        ),
        ('[state]\nkeep = "6 weeks"', f"[state] keep: expected {_DURATIONS}, found '6 weeks'; did you mean \"6w\"?"),
        (
            '[log]\nzone = "Europe/Berlim"',
            '[log] zone: expected a time zone such as "Europe/Berlin" or "UTC", found \'Europe/Berlim\'; '
            "did you mean Europe/Berlin?",
        ),
        ("files = []", "[files]: no such section; files is an option of [log] or [export]: write it below that line"),
        ("[milter", "is not valid TOML: Expected ']' at the end of a table declaration (at end of document)"),
    ],
)
def test_a_mistake_is_told_with_file_place_and_remedy(written: Path, text: str, problem: str) -> None:
    written.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(written)
    line = "" if text == "[milter" else f":{text.count(chr(10)) + 1}"  # TOML's own errors say where
    assert str(raised.value) == f"{written}{line}: {problem}"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('# [log]\n\n[milter]\nfiles = 1\n[log] # here\nzone = "UTC"\n  "files"=3\n', 4),
        ('[log]\nzone = "UTC"\n\n[ log.x ]\n[policy]\nmode = 3', 4),
        ("log.keep_case = 5", 1),
        ("\nlog = { keep_case = 5 }", 0),
    ],
)
def test_the_line_is_that_of_the_mistake(written: Path, text: str, line: int) -> None:
    """However it is written; where it cannot be told, none is."""
    written.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(written)
    assert str(raised.value).startswith(f"{written}:{line}: [" if line else f"{written}: [")


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("[log]\njournald = True", 2, "a switch is true or false, in small letters"),
        ("[log]\njournald = yes # please", 2, "a switch is true or false, in small letters"),
        ("[policy]\nmode = enforce", 2, 'text stands in quotes, such as "…", and a list of it in brackets'),
        ("[log]\nfiles = [/var/log/mail.log]", 2, 'text stands in quotes, such as "…", and a list of it in brackets'),
        ("[log]\nfiles = [“/var/log/mail.log”]", 2, 'quotes are straight: "…"'),
        ('[log]\nzone="UTC"\n[state]\n[log]\n', 4, "a section stands once: put its options together"),
        ('[log]\nzone="UTC"\nzone="UTC"\n', 3, "an option stands once"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line_and_how_it_is_written(
    written: Path, text: str, line: int, remedy: str
) -> None:
    written.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load(written)
    assert str(raised.value).startswith(f"{written}:{line}: is not valid TOML: ")
    assert str(raised.value).endswith(f"; {remedy}")


def test_a_byte_order_mark_is_no_error(written: Path) -> None:
    written.write_bytes(b'\xef\xbb\xbf[policy]\nmode = "enforce"\n')
    assert load(written).policy.mode == "enforce"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "none")
    assert str(raised.value) == f"{tmp_path}/none: cannot be read: No such file or directory"
    (tmp_path / "latin").write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="latin: is not valid TOML: it is not UTF-8"):
        load(tmp_path / "latin")
