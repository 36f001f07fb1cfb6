"""run/: one small file per node running on this machine, so that nodes and clients find each other.

A file whose process is gone is stale: readers ignore it and sweep it away.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One running node as its file tells. `name` is "" while the node is unconfigured."""

    name: str
    role: str  # "node" | "master"
    endpoint: str  # tcp://HOST:PORT of its door
    pid: int
    started: str  # the process's start time as the kernel counts it: tells a reused pid


def home_folder(home: str | os.PathLike[str] | None = None) -> Path:
    """Return the home: the argument, else $ZACTOR_HOME, else ~/.zactor. Nothing is created."""
    return Path(home or os.environ.get("ZACTOR_HOME") or "~/.zactor").expanduser().absolute()


def process_start(pid: int) -> str:
    """Return when process `pid` began, in clock ticks since boot, or "" when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def write_entry(home: Path, entry: RunEntry) -> Path:
    """Put `entry` into run/ whole or not at all, and return its file."""
    folder = home / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = folder / f"{entry.pid}-{entry.endpoint.rpartition(':')[2]}.json"
    draft = target.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(entry))
    draft.replace(target)
    return target


def read_entries(home: Path) -> list[RunEntry]:
    """Return the nodes that run now, masters last, then by name; sweep what is stale."""
    entries = []
    for file in sorted((home / "run").glob("*.json")):
        try:
            entry = msgspec.json.decode(file.read_bytes(), type=RunEntry)
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            _sweep(file)
            continue
        if process_start(entry.pid) == entry.started:
            entries.append(entry)
        else:
            _sweep(file)
    return sorted(entries, key=lambda entry: (entry.role == "master", entry.name))


def _sweep(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()
