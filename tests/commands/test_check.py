"""`mailbrake check`: what is wrong with a configuration or a policy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .running import ROOT, mailbrake


class TestCheck:
    def test_prints_the_policy_so_that_it_can_be_read_again(self, tmp_path: Path) -> None:
        """The shipped policy, normalised, is itself a policy with the same text."""
        shipped = mailbrake("check", "--policy", "shipped")
        assert shipped.returncode == 0, shipped.stderr
        copy = tmp_path / "policy"
        copy.write_text(shipped.stdout)
        assert mailbrake("check", "--policy", copy).stdout == shipped.stdout

    def test_the_shipped_policy_has_the_same_names_everywhere(self) -> None:
        """`replay --against default`, as at a Python prompt, and `check --policy shipped` stand in the pages."""
        shipped, default = (mailbrake("check", "--policy", name) for name in ("shipped", "default"))
        assert (default.returncode, default.stdout) == (0, shipped.stdout)

    def test_a_copy_to_change_keeps_its_comments(self, tmp_path: Path) -> None:
        """`--as-written`: byte for byte, and it says the same."""
        written = mailbrake("check", "--policy", "shipped", "--as-written").stdout
        assert written == (ROOT / "logwatch" / "data" / "default.policy").read_text()
        copy = tmp_path / "policy"
        copy.write_text(written)
        assert mailbrake("check", "--policy", copy).stdout == mailbrake("check", "--policy", "shipped").stdout

    def test_a_rule_that_cannot_hold_is_said(self, tmp_path: Path) -> None:
        """Exit status 1 with the rule and the reason."""
        policy = tmp_path / "policy"
        policy.write_text("rule odd per account: when recipients in 1h > 200 and recipients in 1h < 100 block for 1h\n")
        done = mailbrake("check", "--policy", policy)
        assert done.returncode == 1
        assert 'rule "odd"' in done.stderr

    @pytest.mark.parametrize(
        ("text", "severity", "place"),
        [
            (
                "rule odd per account: when recipients in 1h > 2 and recipients in 1h < 1 block for 1h\n",
                "error",
                (1, 6),
            ),
            ("rule odd per account: when recipiens in 1h > 2 block for 1h\n", "error", (1, 28)),
            ('let nobody = "a.example"\n', "note", (1, 1)),
        ],
    )
    def test_json_has_an_object_for_each_thing_to_say(
        self, tmp_path: Path, text: str, severity: str, place: tuple[int, int]
    ) -> None:
        """And nothing else; the exit status is as without."""
        policy = tmp_path / "policy"
        policy.write_text(text)
        done = mailbrake("check", "--policy", policy, "--json")
        (found,) = map(json.loads, done.stdout.splitlines())
        assert (found["severity"], found["file"], found["line"], found["column"]) == (severity, str(policy), *place)
        assert (done.returncode, done.stderr) == (int(severity == "error"), "")

    def test_shows_the_options_in_force(self, config: Path) -> None:
        """With `--config`: every option as it is, as comments before the policy."""
        told = mailbrake("check", "--config", config).stdout
        assert '# [policy] mode = "observe"' in told

    @pytest.mark.parametrize("bad", sorted((ROOT / "samples" / "bad-configs").glob("*.toml")), ids=lambda p: p.stem)
    def test_bad_configurations_are_explained(self, bad: Path) -> None:
        """Each has its message beside it, from the line on: key, remedy; exit status 1."""
        done = mailbrake("check", "--config", bad)
        assert (done.returncode, done.stderr) == (1, f"mailbrake: {bad}:{bad.with_suffix('.expected').read_text()}")

    def test_what_this_machine_has_not_is_noted(self, tmp_path: Path) -> None:
        """A log, a group; it may be for another machine. A file in place of the state directory is an error."""
        config = tmp_path / "toml"
        log = f'[log]\nfiles = ["{tmp_path}/mail*.log"]\n'
        config.write_text(f'{log}[milter]\nsocket_group = "nobodys"\n[state]\ndirectory = "{tmp_path}"\n')
        done = mailbrake("check", "--config", config)
        assert done.returncode == 0
        assert f"{config}: [log] files: there is nothing at {tmp_path}/mail*.log yet\n" in done.stderr
        assert f"{config}: [milter] socket_group: there is no group 'nobodys' on this machine\n" in done.stderr
        (tmp_path / "mail.1.log").touch()
        config.write_text(f'{log}[state]\ndirectory = "{config}"\n')
        done = mailbrake("check", "--config", config)
        assert (done.returncode, done.stderr) == (
            1,
            f"mailbrake: {config}: [state] directory: {config} is no directory\n",
        )

    def test_what_asks_lists_in_the_dns_has_to_be_there(self, config: Path, tmp_path: Path) -> None:
        """`watch` does not start without it."""
        policy = tmp_path / "policy"
        policy.write_text('score 5 for dnsbl "bl.example"\n\nrule r per account: when reputation >= 5 block for 1h\n')
        config.write_text(f'{config.read_text()}[policy]\nfile = "{policy}"\n')
        code = "import sys; sys.modules['dns'] = None; from logwatch.commands import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, "check", "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert f"mailbrake: {policy}: dnsbl: asks DNS block lists, which needs one more package: pip" in done.stderr
        assert "one more package" not in mailbrake("check", "--config", config).stderr

    def test_lists_in_the_dns_are_refused_in_a_cluster(self, config: Path, tmp_path: Path) -> None:
        """With where they stand, and what to do; `watch` says the same."""
        policy = tmp_path / "policy"
        policy.write_text('score 5 for dnsbl "bl.example"\n\nrule r per account: when reputation >= 5 block for 1h\n')
        config.write_text(f'{config.read_text()}[policy]\nfile = "{policy}"\n')
        assert "in a cluster" not in mailbrake("check", "--config", config).stderr
        config.write_text(f'{config.read_text()}[cluster]\nservers = ["nats://127.0.0.1:1"]\n')
        done = mailbrake("check", "--config", config)
        assert done.returncode == 1
        assert f'{policy}:1:19: dnsbl "bl.example" cannot be asked in a cluster' in done.stderr
        assert "leave it out of the policy" in done.stderr
