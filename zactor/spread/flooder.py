"""The program spflooder: many messages to one group, and how fast they came.

Its words are Spread's, since scripts match them; the rates at the end are ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from zactor.kernel.messages.service import Service
from zactor.spread.client_frames import SpreadMembership, SpreadMessage
from zactor.spread.connection import SpreadConnection

GROUP = "flooder"
WINDOW = 200  # messages that haven't come back, of all senders together
BYTES_MAX = 100_000
_TOLD_EACH = 1_000
_KIND = 3  # mess_type of its messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What is to be done."""

    messages: int
    bytes: int
    members: int = 0  # that are waited for; each of them floods
    reads: bool = True
    writes: bool = True


@dataclass(frozen=True, slots=True)
class FloodReport:
    """What was done."""

    sent: int
    received: int
    seconds: float

    def rates(self, size: int) -> dict[str, float]:
        """Return messages and megabytes a second: of what came, or else of what was sent."""
        count = self.received or self.sent
        per_s = count / self.seconds if self.seconds else 0.0
        return {
            "messages": count,
            "seconds": round(self.seconds, 3),
            "messages_per_s": round(per_s),
            "megabytes_per_s": round(per_s * size / 1e6, 3),
        }


def flood(connection: SpreadConnection, wanted: Flood, say: Callable[[str], None]) -> FloodReport:
    """Send and receive, telling of each thousand; `say` gets lines.

    Raises:
        NotReachable: the daemon went away.
    """
    if wanted.reads:
        connection.join(GROUP)
    if wanted.members:
        _wait_for(connection, wanted.members)
    size = wanted.bytes
    payload = bytes(size)
    service = Service.FIFO if wanted.members else Service.RELIABLE
    senders = max(wanted.members, 1)
    total = wanted.messages * senders if wanted.reads and wanted.writes else wanted.messages
    sent = received = 0
    say(f"flooder: starting  multicast of {wanted.messages} messages, {size} bytes each.")
    began = time.monotonic()
    while sent < wanted.messages if wanted.writes else received < total:
        if wanted.writes:
            connection.multicast(GROUP, payload, service, mess_type=_KIND)
            sent += 1
            if sent % _TOLD_EACH == 0:
                say(f"flooder: completed {sent:6} messages of {size} bytes")
        while wanted.reads and received < (sent - WINDOW // senders) * senders:
            received += _receive(connection)
        if not wanted.writes:
            received += _receive(connection)
            if received and received % _TOLD_EACH == 0:
                say(f"flooder: received {received:6} messages of {size} bytes")
    while wanted.reads and received < total:
        received += _receive(connection)
    seconds = time.monotonic() - began
    say(f"flooder: completed multicast of {wanted.messages} messages, {size} bytes each.")
    return FloodReport(sent, received, seconds)


def _receive(connection: SpreadConnection) -> int:
    return 1 if isinstance(connection.receive(), SpreadMessage) else 0


def _wait_for(connection: SpreadConnection, members: int) -> None:
    while True:
        news = connection.receive()
        if isinstance(news, SpreadMembership) and len(news.members) >= members:
            return
