"""What tests with a lab share: the lab of three hosts, and looking at what is there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deadlines import run_to_end

from zactor.lab.lab import until
from zactor.lab.lab_client import LabClient


class LabWorld:
    """A lab and its home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.lab = LabClient(home)

    def zactor(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type `zactor …` outside of the lab."""
        return run_to_end([sys.executable, "-P", "-m", "zactor", *words], env=self.environment)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "ZACTOR_HOME": str(self.home)}

    def run(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a host."""
        return self.zactor("lab", "exec", host, *words)

    def python(self, host: str, code: str) -> str:
        """Return what a Python program on a host prints."""
        done = self.run(host, sys.executable, "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def row(self, host: str) -> dict[str, Any]:
        return next(row for row in self.lab.hosts() if row["host"] == host)

    def until_view(self, host: str, members: set[str]) -> float:
        return until(
            f"{host} has the view {members}: {self.row(host)}",
            lambda: set(self.row(host)["view"]) == members,
            60,
        )

    def seen(
        self, wanted: Callable[[dict[str, Any]], bool], since: int = 0
    ) -> list[dict[str, Any]]:
        """Return the entries of the journal that are wanted."""
        rows, _ = self.lab.seen(since)
        return [row for row in rows if wanted(row)]


def lab_processes(home: Path) -> list[str]:
    """Processes of that lab: those that bear its home."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                if os.fsencode(home) in (folder / "environ").read_bytes():
                    words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found.append(f"{folder.name} {words}")
    return found


def namespaces() -> set[str]:
    """All namespaces of processes that are there."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/ns/*"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(link))
    return found
