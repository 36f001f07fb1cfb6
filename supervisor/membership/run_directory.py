"""run/: one small file per node running on this machine, so that nodes and clients find each other.

A file whose process is gone is stale: readers ignore it and sweep it away.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import msgspec

from zactor.kernel.errors import ConfigError
from zactor.kernel.room import room_for
from zactor.kernel.transport.private_files import open_private, private_folder

ENTRY_BYTES_MAX = 4_096  # of one file: two names and an address
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # of this process, not of the file
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class RunEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One running node as its file tells. `name` is "" while the node is unconfigured."""

    name: str
    role: str  # "node" | "master"
    endpoint: str  # tcp://HOST:PORT of its door, as other machines call it
    door: str = ""  # the same as this machine calls it, where that is different
    pid: int
    started: str  # the process's start time as the kernel counts it: tells a reused pid


def near(entry: RunEntry) -> str:
    """Return the endpoint by which this machine calls that node: no mapped port is in the way."""
    return entry.door or entry.endpoint


def home_folder(home: str | os.PathLike[str] | None = None) -> Path:
    """Return the home: the argument, else $ZACTOR_HOME, else ~/.zactor. Nothing is created."""
    return Path(home or os.environ.get("ZACTOR_HOME") or "~/.zactor").expanduser().absolute()


def process_start(pid: int) -> str:
    """Return when process `pid` began, in clock ticks since boot, or "" when there is none.

    Raises:
        OSError: it can't be told: no descriptor is left, say.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def write_entry(home: Path, entry: RunEntry) -> Path:
    """Put `entry` into run/ whole or not at all, and return its file.

    Raises:
        NoRoom: the disk is full.
    """
    folder = home / "run"
    target = folder / f"{entry.pid}-{entry.endpoint.rpartition(':')[2]}.json"
    draft = target.with_suffix(".new")
    with private_folder(folder):
        draft.unlink(missing_ok=True)
        with room_for(target), os.fdopen(open_private(draft), "wb") as file:
            file.write(msgspec.json.encode(entry))
    draft.replace(target)
    return target


def read_entries(home: Path) -> list[RunEntry]:
    """Return the nodes that run now, masters last, then by name; sweep what is stale.

    In a folder that another user may change nothing is believed: who is named there may be called
    upon, or ended. Who starts a node there is told why not (`check_home`).
    What can't be looked at for want of descriptors or memory is left out, and left alone.
    """
    folder, entries = home / "run", []
    if not os.path.lexists(folder):
        return []
    try:
        with private_folder(folder):
            files = sorted(folder.glob("*.json"))
    except ConfigError:
        return []
    for file in files:
        try:
            with os.fdopen(os.open(file, _READ), "rb") as text:
                if os.fstat(text.fileno()).st_uid != os.geteuid():
                    continue  # laid while the folder was open to others
                entry = msgspec.json.decode(text.read(ENTRY_BYTES_MAX), type=RunEntry)
            runs = process_start(entry.pid) == entry.started
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) not in _SHORTAGES:
                _sweep(file)
            continue
        if runs:
            entries.append(entry)
        else:
            _sweep(file)
    return sorted(entries, key=lambda entry: (entry.role == "master", entry.name))


def _sweep(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()
