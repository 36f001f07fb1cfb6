"""Make the home of a small cluster with the zactor that this Python has: test_upgrade.py reads it.

    python make_home.py OUTPUT.tar.gz

A node n1 and a master m1: a class from memory, a class from a file, ten actors with arguments, two
wires, and a destruction that both nodes died in.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zactor import (
    Actor,
    ConfigError,
    NoSuchThing,
    OutcomeUnknown,
    Ref,
    Service,
    ZactorError,
    action,
    local,
    signal,
)

SOURCE = Path(__file__).with_name("gauge.py")
CRASH_AT = "destroy_todo:unwire.before"  # who takes the clause over dies there too
DEADLINE_S = 30.0

__file__ = "make_home.py"  # it travels in pickles, which must name no folder of this machine


class Note:
    """A class of the user's own."""

    def __init__(self, text: str) -> None:
        self.text = text


class Counter(Actor, dispatcher="thread", mailbox_max=50, mailbox_policy="reject"):
    """Counts, and tells with what it was made."""

    updateVal = signal(int)

    def __init__(
        self,
        start: int = 0,
        level: Service = Service.FIFO,
        peer: Ref[Actor] | None = None,
        note: Note | None = None,
        error: ZactorError | None = None,
    ) -> None:
        if start < 0:
            raise ConfigError(f"start={start} is below 0")
        self.start = start
        self.level = level
        self.peer = peer
        self.note = note
        self.error = error

    @action
    def inc(self) -> int:
        self.start += 1
        self.updateVal.emit(self.start)
        return self.start

    @action
    def told(self) -> list[object]:
        return [
            self.start,
            self.level.value,
            repr(self.peer),
            self.note.text if self.note else "",
            repr(self.error),
        ]


def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def fill(master: Any) -> None:
    """Declare the factories, deploy ten actors, connect them."""
    master.declare_factory("counter", Counter)
    master.declare_factory("gauge", SOURCE)
    arguments: list[dict[str, object]] = [
        {},
        {"start": 5},
        {"level": Service.AGREED},
        {"peer": master.ref("c0")},
        {"note": Note("a class of my own")},
        {"start": 7, "error": NoSuchThing("what was lost")},
    ]
    for number, keywords in enumerate(arguments):
        master.deploy_actor("counter", f"c{number}", "n1", **keywords)
    for number in range(3):
        master.deploy_actor("gauge", f"g{number}", "n1", unit=f"unit {number}")
    master.deploy_actor("counter", "leaving", "n1", start=100, level=Service.SAFE)
    master.react_interaction("g0", "c1", "updateVal")
    master.react_interaction("g1", "leaving", "updateVal")
    assert master.ask("c5", "told") == [7, "fifo", "None", "", "NoSuchThing('what was lost')"]


def main(output: Path) -> None:
    """Make the home and pack it."""
    folder = Path(tempfile.mkdtemp(prefix="zhome-"))
    home = folder / "home"
    os.environ["ZACTOR_CRASH_AT"] = CRASH_AT
    try:
        with local(1, home=home) as cluster:
            fill(cluster.master)
            try:
                cluster.master.destroy_actor("leaving", todo=True)
            except (OutcomeUnknown, ZactorError) as error:
                print(f"as it should be: {error}")
            until("both have died of the destruction", lambda: not cluster.names)
        for left in ("log", "run"):
            shutil.rmtree(home / left, ignore_errors=True)
        with tarfile.open(output, "w:gz", compresslevel=9) as archive:
            archive.add(home, "home", filter=nobody)
    finally:
        shutil.rmtree(folder)
    print(f"{output}: {output.stat().st_size} bytes")


def nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without whose it was and when."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]))
