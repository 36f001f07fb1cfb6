"""What the network from here does to zactor: each node's door reached, round trip, losses, size of
packets, address and clock. It only knocks and hangs up: no key is needed, nothing is said.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import struct
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from zactor.kernel import limits
from zactor.kernel.transport.addresses import parse_address

KNOCKS = 5
KNOCK_S = 2.0
AT_ONCE = 16  # nodes
SLOW_S = limits.GROUP_SILENCE_MS_MIN / 1000  # from here on silence and slowness are alike
PACKET_BYTES_MIN = 576  # what every network of IPv4 carries
CLOCKS_S = 1.0  # less is no news; nothing is decided by clocks, but people compare logs
# struct tcp_info of Linux, as far as it is read: the path's packet size, and what was resent
_PMTU, _RESENT, _INFO_BYTES = 60, 100, 104

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorAnswers:
    """What came of knocking at one door."""

    times_s: tuple[float, ...]  # of those that were answered
    why: str  # the last was not
    own: str  # our address on the way there
    resent: int  # packets
    packet_bytes: int  # the largest that goes there whole; 0: unknown


def knock(host: str, port: int) -> DoorAnswers:
    """Open and close a connection some times."""
    times: list[float] = []
    why, own, resent, size = "", "", 0, 0
    for _ in range(KNOCKS):
        began = time.monotonic()
        try:
            with socket.create_connection((host, port), timeout=KNOCK_S) as opened:
                times.append(time.monotonic() - began)
                own = str(opened.getsockname()[0])
                with contextlib.suppress(OSError, AttributeError, struct.error):
                    info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
                    size = struct.unpack_from("I", info, _PMTU)[0]
                    resent += struct.unpack_from("I", info, _RESENT)[0]
        except OSError as error:
            why = error.strerror or str(error)
            if not times:
                break  # once is enough where nobody is
    return DoorAnswers(times_s=tuple(times), why=why, own=own, resent=resent, packet_bytes=size)


def rows_of(node: str, address: str, found: DoorAnswers) -> list[Row]:
    """Return the checks of one door, as those of `doctor` are."""

    def row(check: str, is_ok: bool, detail: str) -> Row:
        return {"node": node, "ok": is_ok, "check": check, "detail": detail}

    if not found.times_s:
        return [row("reach", False, f"{address} from here: {found.why or 'no answer'}")]
    middle_s = statistics.median(found.times_s)
    lost = KNOCKS - len(found.times_s)
    late = sum(time_s > 2 * middle_s + 0.5 for time_s in found.times_s)  # resent after a second
    rows = [
        row("reach", lost == 0, f"{address} from {found.own}, {lost} of {KNOCKS} knocks lost"),
        row(
            "round trip",
            middle_s < SLOW_S,
            f"{middle_s * 1000:.1f} ms, worst {max(found.times_s) * 1000:.1f} ms",
        ),
        row("loss", not found.resent and not late, f"{found.resent + late} packets were resent"),
    ]
    if found.packet_bytes:
        size = found.packet_bytes
        rows.append(row("packet size", size >= PACKET_BYTES_MIN, f"{size} bytes"))
    return rows


def clock_row(node: str, told: str, asked: float, answered: float) -> Row:
    """Return the check of a node's clock, which is told as a moment between two of ours."""
    theirs = datetime.fromisoformat(told).timestamp()
    ahead_s = theirs - (asked + answered) / 2
    unsure_s = (answered - asked) / 2 + CLOCKS_S
    if abs(ahead_s) <= unsure_s:
        return {"node": node, "ok": True, "check": "clock", "detail": "as here"}
    way = "ahead of" if ahead_s > 0 else "behind"
    detail = f"{abs(ahead_s):.0f} s {way} the one here: times of its log can't be compared"
    return {"node": node, "ok": False, "check": "clock", "detail": detail}


def check_network(
    nodes: Iterable[Mapping[str, object]],
    checks: Iterable[Mapping[str, object]],
    asked: float,
    answered: float,
) -> list[Row]:
    """Return checks of the network from here to each node.

    Args:
        nodes: rows of `nodes`: name, address.
        checks: rows of `doctor`, of which those of clocks are read.
        asked, answered: when the doctor was, by the clock here.
    """
    doors = {str(row["name"]): str(row["address"] or "") for row in nodes}
    unknown = [name for name, address in doors.items() if not address]
    for name in unknown:
        del doors[name]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = list(threads.map(lambda address: knock(*_parts(address)), doors.values()))
    detail = "the node that was asked has lost it, and knows no address of it"
    rows: list[Row] = [
        {"node": name, "ok": False, "check": "reach", "detail": detail} for name in unknown
    ]
    for (name, address), each in zip(doors.items(), found, strict=True):
        rows += rows_of(name, address, each)
    for check in checks:
        if check["check"] == "time":
            rows.append(clock_row(str(check["node"]), str(check["detail"]), asked, answered))
    return rows


def _parts(address: str) -> tuple[str, int]:
    host, port = parse_address(address)
    return host, port or limits.NODE_PORT
