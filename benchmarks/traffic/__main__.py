"""Write a month's log and the truth about it."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from benchmarks.traffic.month import Month
from benchmarks.traffic.postfix import Writer
from benchmarks.traffic.profile import SITES
from benchmarks.traffic.scene import HOUR, Mail
from benchmarks.traffic.sending import Process

parser = argparse.ArgumentParser(prog="python -m benchmarks.traffic", description=__doc__)
parser.add_argument("--site", choices=SITES, default="company")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--accounts", type=int, help="default: the site's own number")
parser.add_argument("--attacks", type=int, default=2, help="of every family")
parser.add_argument("--made-up", action="store_true", help="make up send times even where the real ones are at hand")
parser.add_argument("--log", type=Path, required=True)
parser.add_argument("--truth", type=Path, required=True, help="JSON: attacks, classes of accounts, messages")


def main() -> None:
    """As the arguments want it."""
    args = parser.parse_args()
    site = SITES[args.site]
    site = dataclasses.replace(site, accounts=args.accounts or site.accounts)
    month = Month(site, args.seed, each=args.attacks, times=Process() if args.made_up else None)
    writer = Writer(month.name, filtered=site.filtered)
    messages = []
    with args.log.open("wb") as log:
        for event in month.events():
            log.write(writer.until(event.time))
            writer.write(event)
            if isinstance(event, Mail) and event.attack:
                messages.append([event.attack, event.time, len(event.recipients)])
        log.write(writer.until(event.time + HOUR))
    truth = {
        "attacks": [dataclasses.asdict(attack) for attack in month.attacks],
        "classes": month.labels(),
        "messages": messages,  # attack, time, recipients; negative where it was only tried out
    }
    args.truth.write_text(json.dumps(truth, indent=1))


main()
