"""A thousand SMTP sessions open at once on a real Postfix, each judged by the milter at the same moment.

    python -m benchmarks.sessions [--sessions 1000]

All log in, half of them as an account that is blocked; when all are open, all send. Told are the answers, how long MAIL
took, and the milter's memory and threads. Needs root, Postfix, and about 4 MB for each session.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import time
from collections import Counter
from pathlib import Path

from tests.enforce.gate import PATIENT, Gate
from tests.enforce.records import record
from tests.mta.postfix import Postfix

_PATIENCE = 300.0


class Crowd:
    """Sessions that wait for each other."""

    def __init__(self, port: int, number: int) -> None:
        self._port = port
        self._number = number
        self._open = 0
        self._go = asyncio.Event()
        self.answers: Counter[tuple[str, str]] = Counter()
        self.times: list[float] = []

    async def run(self) -> None:
        """All of them, to their end."""
        await asyncio.gather(*(self._session("bob" if n % 2 else "free") for n in range(self._number)))

    async def _session(self, login: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)

        async def said() -> str:
            while (line := await asyncio.wait_for(reader.readline(), _PATIENCE))[3:4] == b"-":
                pass
            return line[:3].decode()

        async def ask(command: str) -> str:
            writer.write(command.encode() + b"\r\n")
            return await said()

        await said()
        await ask("EHLO client.example")
        await ask("AUTH PLAIN " + base64.b64encode(f"\0{login}\0secret".encode()).decode())
        self._open += 1
        if self._open == self._number:
            self._go.set()
        await self._go.wait()
        begin = time.monotonic()
        code = await ask("MAIL FROM:<a@example.org>")
        self.times.append(time.monotonic() - begin)
        if code == "250":
            for command in ("RCPT TO:<r@ok.example>", "DATA", "Subject: test\r\n\r\ntest\r\n."):
                code = await ask(command)
        self.answers[login, code] += 1
        await ask("QUIT")
        writer.close()


def main() -> None:
    """Run, and print what came of it."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--sessions", type=int, default=1000)
    number = parser.parse_args().sessions
    limits = {"default_process_limit": str(number + 300), "smtpd_timeout": "300", **PATIENT}
    with Gate("postfix") as gate:
        assert isinstance(gate.mta, Postfix)
        gate.mta.reload(limits)
        gate.deny(bob=record("block"))
        crowd = Crowd(gate.mta.submission_port, number)
        asyncio.run(crowd.run())
        times = sorted(crowd.times)
        print(f"{number} sessions: {dict(crowd.answers)}")
        print(f"MAIL answered after {times[number // 2]:.2f} s (p50), {times[-1]:.2f} s (last)")
        status = Path(f"/proc/{gate.milter.pid}/status").read_text().splitlines()
        print(*(line for line in status if line.startswith(("RssAnon", "Threads"))), sep="\n")


if __name__ == "__main__":
    main()
