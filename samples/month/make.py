"""Makes the month that the notebooks look at: a small company's submission server, with four accounts gone wrong.

    python samples/month/make.py        from the repository's root; writes mail.log.xz and labels.json beside this file

Send times, recipients and attacks are made up by benchmarks/traffic; nothing of it is anybody's mail.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import sys
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmarks.traffic import month as traffic  # noqa: E402 - the repository's root is not on the path by itself
from benchmarks.traffic.postfix import Writer  # noqa: E402
from benchmarks.traffic.profile import COMPANY  # noqa: E402
from benchmarks.traffic.scene import HOUR  # noqa: E402
from benchmarks.traffic.sending import Process  # noqa: E402

WANTED = ("fan-out", "botnet", "lateral", "drip")
SEED = 7


def main() -> None:
    """Write both files."""
    for family in set(traffic.FAMILIES) - set(WANTED):
        del traffic.FAMILIES[family]
    site = dataclasses.replace(COMPANY, accounts=40, incoming=1, scanners=1, newsletters=1, lists=1)
    month = traffic.Month(site, SEED, each=1, times=Process())
    writer = Writer(month.name, filtered=False)
    with lzma.open(HERE / "mail.log.xz", "wb", preset=9) as log:
        for event in month.events():
            log.write(writer.until(event.time))
            writer.write(event)
        log.write(writer.until(event.time + HOUR))
    labels = {f"account:{attack.account}": [_iso(attack.first), _iso(attack.last)] for attack in month.attacks}
    (HERE / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")


def _iso(stamp: float) -> str:
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="seconds")


main()
