"""What an exported map costs Postfix, by its kind, interleaved in one run.

    python -m benchmarks.maps [--rounds 12] [--messages 1500]

The load and the rounds of `benchmarks.milter`; the map has 1,000 accounts, none of which sends. Needs root, gcc, and
Postfix with the packages postfix-lmdb and postfix-cdb.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import contestants
from benchmarks.milter import LOGIN, PATIENT, Settings, Site, throughput
from tests.mta.postfix import Postfix

KINDS = ("texthash", "hash", "lmdb", "cdb")


def main() -> None:
    """Run, and print Markdown."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--messages", type=int, default=1500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mb-bench-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        program = contestants.compiled(directory, "smtp_load")
        with Postfix({LOGIN: "secret"}, extra=PATIENT) as postfix:
            path = contestants.exported_map(postfix, directory)
            settings: Settings = {"none": {}}
            for kind in KINDS:
                if kind != "texthash":
                    postfix.run("postmap", f"{kind}:{path}")
                settings[kind] = {"smtpd_sender_restrictions": f"check_sasl_access {kind}:{path}"}
            throughput(Site(postfix, program, settings), args.rounds, args.messages, ("none",))


if __name__ == "__main__":
    main()
