"""A DNS server on loopback, for block lists: real questions and answers, over UDP."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

ZONE = "bl.example."
NEGATIVE = 600  # seconds that a name's absence may be remembered


class DnsServer:
    """Answers for ZONE from `records`; what it has been asked is in `asked`. `mute`: it hears and says nothing."""

    def __init__(self, records: Mapping[str, Sequence[str]]) -> None:
        self.records = {f"{name}.{ZONE}": list(codes) for name, codes in records.items()}
        self.asked: list[str] = []
        self.mute = False
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(512)
            if wire == b"end":
                return
            question = dns.message.from_wire(wire)
            self.asked.append(question.question[0].name.to_text())
            if not self.mute:
                self._socket.sendto(self._answer(question).to_wire(), client)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA | dns.flags.RA
        name = question.question[0].name.to_text()
        codes = self.records.get(name)
        if codes:
            answer.answer.append(dns.rrset.from_text(name, 900, "IN", "A", *codes))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
            answer.authority.append(dns.rrset.from_text(ZONE, 3600, "IN", "SOA", f"a. b. 1 2 3 4 {NEGATIVE}"))
        return answer


@contextlib.contextmanager
def serving(records: Mapping[str, Sequence[str]]) -> Iterator[DnsServer]:
    server = DnsServer(records)
    try:
        yield server
    finally:
        server.close()
