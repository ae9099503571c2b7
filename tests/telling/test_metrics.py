"""The controller's metrics, and that dashboard, alerts and documentation name what exists."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from enforce.exposition import PLAIN
from enforce.metrics import METRICS as MILTER
from logwatch.cluster.figures import METRICS as CLUSTER
from logwatch.reading import loss
from logwatch.schema import EVENTS
from logwatch.telling.announcements import Herald
from logwatch.telling.metrics import METRICS, TROUBLES, ControllerState, Meter
from tests.enforce.test_metrics import scraped
from tests.mta.postfix import free_ports
from tests.mta.waiting import wait_for
from tests.telling.decisions import NOW, decision
from tests.telling.promtool import promtool
from tests.telling.receivers import Hook, Mailbox
from tests.test_watch import Machine

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "mailbrake.json"
KNOWN = {metric.name: metric for metric in (*METRICS, *MILTER, *CLUSTER)}


def seen(**fields: Any) -> ControllerState:
    given: dict[str, Any] = {
        "now": NOW,
        "clock": NOW,
        "lines": 0,
        "events": {},
        "lost": {},
        "guarded": 0,
        "memories": (),
        "unwritten": 0,
        "standing": {"enforce": 0, "observe": 0},
        "table": (1, 2, 3.0),
    }
    return ControllerState(**{**given, **fields})


class TestMeter:
    def test_gives_a_value_of_every_metric(self) -> None:
        """And of none that is not described; notifications are counted where they are sent."""
        meter = Meter([("flood", "block")])
        meter.stepped(NOW, NOW + 1, NOW - 2)
        meter.take(seen())
        assert meter.snapshot.keys() | {"mailbrake_notifications_total"} == {metric.name for metric in METRICS}
        for name, values in meter.snapshot.items():
            assert {len(labels) for labels in values} <= {len(KNOWN[name].labels)}

    def test_measures_lag_and_work_of_a_step(self) -> None:
        """The lag from the last line's stamp to the end of the step; a clock that steps back gives nothing negative."""
        meter = Meter()
        meter.stepped(NOW, NOW + 0.5, NOW - 2)
        meter.stepped(NOW, NOW - 10, NOW - 3)
        meter.take(seen())
        assert meter.snapshot["mailbrake_busy_seconds_total"] == {PLAIN: 0.5}
        assert meter.snapshot["mailbrake_steps_total"] == {PLAIN: 2}
        assert meter.snapshot["mailbrake_lag_seconds"] == {PLAIN: 0.0}

    def test_knows_no_lag_before_the_first_line(self) -> None:
        """Rather than a wrong one."""
        meter = Meter()
        meter.take(seen())
        assert meter.snapshot["mailbrake_lag_seconds"] == {}

    def test_counts_decisions_by_rule_action_and_mode_alone(self) -> None:
        """However many accounts and cases there are; from zero on, so that Prometheus sees the first one."""
        herald = Herald(lambda _: None, [], 0, [("flood", "tempfail")])
        herald.decided([decision(n, key=f"account:u{n}", ref=f"REF{n}") for n in range(1, 101)], (), 0, NOW)
        herald.meter.take(seen())
        assert herald.meter.snapshot["mailbrake_decisions_total"] == {
            ("flood", "tempfail", "enforce"): 100,
            ("flood", "tempfail", "observe"): 0,
            ("flood", "release", "enforce"): 0,
            ("flood", "release", "observe"): 0,
        }

    def test_a_table_that_cannot_be_written_has_no_age(self) -> None:
        """But is known to be unusable."""
        meter = Meter()
        meter.take(seen(table=None))
        assert meter.snapshot["mailbrake_table_usable"] == {PLAIN: 0}
        assert "mailbrake_table_age_seconds" not in meter.snapshot

    def test_a_snapshot_does_not_change(self) -> None:
        """What a scrape is reading stays as it was, whatever is counted meanwhile."""
        meter = Meter([("flood", "block")])
        events = Counter({"queued": 1})
        meter.take(seen(events=events))
        first, before = meter.snapshot, json.dumps([sorted(v.items()) for v in meter.snapshot.values()])
        events["queued"] += 1
        meter.decided([decision()])
        meter.trouble("table")
        meter.take(seen(events=events))
        assert json.dumps([sorted(v.items()) for v in first.values()]) == before
        assert meter.snapshot["mailbrake_events_total"]["queued",] == 2

    def test_every_trouble_that_is_said_is_counted_from_zero(self) -> None:
        """What callers say it is about, read from the source."""
        sources = [path.read_text() for path in (ROOT / "logwatch").rglob("*.py")]
        said = {about for source in sources for about in re.findall(r'_say\("([a-z ]+)"', source)}
        assert said == set(TROUBLES)


class TestController:
    """Driven step by step, as in tests/test_watch.py."""

    def test_measures_what_it_reads_and_decides(self, tmp_path: Path) -> None:
        """After each step."""
        machine = Machine(tmp_path)
        machine.send(at=machine.now - 3)
        with machine.controller() as controller:
            found = controller.figures()
            assert found["mailbrake_lines_total"] == {PLAIN: 2}
            assert found["mailbrake_events_total"]["queued",] == 1
            assert found["mailbrake_events_total"].keys() == {(event,) for event in EVENTS}
            assert found["mailbrake_decisions_total"]["flood", "tempfail", "enforce"] == 1
            assert found["mailbrake_standing"] == {("enforce",): 1, ("observe",): 0}
            assert found["mailbrake_lag_seconds"] == {PLAIN: 3.0}
            assert found["mailbrake_log_clock_timestamp_seconds"] == {PLAIN: machine.now - 3}
            assert found["mailbrake_table_keys"] == {PLAIN: 1}
            assert found["mailbrake_lost_total"] == {(kind,): 0 for kind in loss.KINDS}
            assert found["mailbrake_keys"]["rates account",] == 1
            assert found["mailbrake_alive_timestamp_seconds"] == {PLAIN: machine.now}
            machine.now += 7200
            controller.once()
            assert controller.figures()["mailbrake_standing"] == {("enforce",): 0, ("observe",): 0}
            assert controller.figures()["mailbrake_alive_timestamp_seconds"] == {PLAIN: machine.now}

    def test_has_as_many_values_however_many_accounts_there_are(self, tmp_path: Path) -> None:
        """So that nobody fills Prometheus by logging in, or failing to."""
        machine = Machine(tmp_path)
        machine.send(login="first")
        with machine.controller() as controller:
            before = {(name, labels) for name, values in controller.figures().items() for labels in values}
            for number in range(200):
                machine.send(login=f"user{number}")
            controller.once()
            assert {(name, labels) for name, values in controller.figures().items() for labels in values} == before


def test_a_running_controller_tells_people_and_prometheus(tmp_path: Path) -> None:
    """The whole process: mail and webhook about the case, metrics with the same, and an end in time."""
    machine = Machine(tmp_path)
    where = f"127.0.0.1:{next(free_ports())}"
    configured = tmp_path / "mailbrake.toml"
    with Mailbox() as mailbox, Hook() as hook:
        configured.write_text(
            f'[log]\nfiles = ["{machine.log}"]\n[policy]\nfile = "{machine.policy}"\nmode = "enforce"\n'
            f'[state]\ndirectory = "{tmp_path}/state"\n[milter]\nsyslog = ""\n[metrics]\nwatch = "{where}"\n'
            f'[notify]\nmail_to = ["abuse@example.com"]\nsmtp = "{mailbox.where}"\nwebhooks = ["{hook.url}"]\n'
        )
        machine.now = time.time()  # as that process has it
        machine.send()
        command = [sys.executable, "-m", "logwatch", "watch", "--config", str(configured)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: mailbox.letters and hook.posted, 60, "mail and webhook")
            found = wait_for(lambda: _sent(scraped(where)), 60, "the metrics")
        finally:
            process.send_signal(signal.SIGTERM)
            said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert "tempfail account:bob (rule flood, case " in mailbox.letters[0]["Subject"]
    assert hook.posted[0]["happenings"][0]["decision"]["key"] == "account:bob"
    assert found['mailbrake_decisions_total{action="tempfail",mode="enforce",rule="flood"}'] == 1
    assert found['mailbrake_standing{mode="enforce"}'] == 1
    assert found["mailbrake_table_usable"] == 1
    assert "token=secret" not in said


def _sent(found: dict[str, float]) -> dict[str, float]:
    """The figures once both messages are counted, and the step that they are about; {} before."""
    counts = [
        found[f'mailbrake_notifications_total{{channel="{name}",outcome="sent"}}'] for name in ("mail", "webhook")
    ]
    return found if counts == [1, 1] and any(name.startswith("mailbrake_decisions_total{") for name in found) else {}


# What is shipped for Prometheus and Grafana.


def queries() -> list[str]:
    """Every expression of the dashboard, with Grafana's own variables filled in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in asked]


def named(text: str) -> set[str]:
    return set(re.findall(r"\bmailbrake_\w+\b", text))


def test_alerts_are_valid() -> None:
    """By Prometheus' own checker."""
    checked = promtool("check", "rules", str(ALERTS))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_go_off_when_they_should_and_only_then() -> None:
    """A site where all is well, and then nothing is; every alert is tried."""
    script = ROOT / "tests" / "telling" / "alerts.test.yml"
    checked = promtool("test", "rules", str(script))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert set(re.findall(r"alert: (\w+)", ALERTS.read_text())) == set(re.findall(r"Mailbrake\w+", script.read_text()))


def test_the_dashboards_queries_are_valid(tmp_path: Path) -> None:
    """By Prometheus' own checker, to which they are rules."""
    rules = [
        f"      - record: r{number}\n        expr: {json.dumps(query)}\n" for number, query in enumerate(queries())
    ]
    (tmp_path / "rules.yml").write_text("groups:\n  - name: dashboard\n    rules:\n" + "".join(rules))
    checked = promtool("check", "rules", str(tmp_path / "rules.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_dashboard_and_alerts_name_metrics_and_labels_that_exist() -> None:
    """As the code has them; and the dashboard leaves none out."""
    asked = " ".join(queries())
    assert named(ALERTS.read_text()) - KNOWN.keys() == set()
    assert named(asked) == KNOWN.keys()
    for text in (asked, ALERTS.read_text()):
        for name, inside in re.findall(r"\b(mailbrake_\w+)\{([^}]*)\}", text):
            assert set(re.findall(r"(\w+)\s*(?:=~|!=|=)", inside)) - {"instance"} <= set(KNOWN[name].labels)
        for label in re.findall(r"\$labels\.(\w+)", text):
            assert any(label in (*metric.labels, "instance", "job") for metric in KNOWN.values())


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    """Each has a place of its own within 24 columns, an id, a title and a description."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
        assert not cells & taken
        assert x + w <= 24
        taken |= cells
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"]
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("metric", KNOWN.values(), ids=lambda metric: metric.name)
def test_every_metric_is_documented_with_its_labels(metric: Any) -> None:
    """In docs/metrics.md, and named as Prometheus wants it."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    assert f"| `{metric.name}` | {labels + ' ' if labels else ''}| " in (ROOT / "docs" / "metrics.md").read_text()
    assert metric.name.endswith("_total") == (metric.kind == "counter")


def test_the_documentation_names_metrics_and_alerts_that_exist() -> None:
    """And every alert."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert named(page) == KNOWN.keys()
    assert set(re.findall(r"`(Mailbrake\w+)`", page)) == set(re.findall(r"alert: (\w+)", ALERTS.read_text()))


def test_kinds_of_losses_are_documented() -> None:
    """And troubles."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert [name for name in (*loss.KINDS, *TROUBLES) if f"`{name}`" not in page] == []
