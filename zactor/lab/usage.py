"""What the nodes of a lab use: memory, descriptors and processor time, as /proc has them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

_KB = os.sysconf("SC_PAGE_SIZE") // 1024
_TICKS = os.sysconf("SC_CLK_TCK")
_WORDS = ((b"zactor", b"node"), (b"zactor", b"spread"))  # of command lines of nodes


def usage_of(hosts: Mapping[str, int]) -> list[dict[str, object]]:
    """Return a row for each host whose node runs; `pid` as the lab sees it.

    Args:
        hosts: {host: process id of its first process}.
    """
    spaces = {}
    for name, pid in hosts.items():
        with contextlib.suppress(OSError):
            spaces[os.readlink(f"/proc/{pid}/ns/pid")] = name
    rows = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                host = spaces.get(os.readlink(folder / "ns" / "pid"))
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if host is not None and any(pair == tuple(words[3:5]) for pair in _WORDS):
                    rows.append({"host": host, "pid": int(folder.name), **_usage(folder)})
    return sorted(rows, key=lambda row: str(row["host"]))


def _usage(folder: Path) -> dict[str, object]:
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return {
        "memory_kb": int((folder / "statm").read_text().split()[1]) * _KB,
        "descriptors": len(list((folder / "fd").iterdir())),
        "cpu_s": (int(fields[11]) + int(fields[12])) / _TICKS,
    }
