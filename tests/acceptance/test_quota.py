"""A quota that is used up is a full disk: EDQUOT, from a real file system.

Each node's folder is a subvolume of btrfs with a limit of its own; its disk has room enough.
"""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor import ZactorError, connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).parent / "actors.py"
DISK_BYTES = 256 << 20
QUOTA = "8M"
BACK_S = 60.0
PROBES = itertools.count(1)


class Quotas(Lab):
    """A lab in which each node may have so much and no more."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.states = home / "state"
        self.states.mkdir(mode=0o700)
        self._image = home / "disk.image"
        with self._image.open("wb") as file:
            file.truncate(DISK_BYTES)
        self._run("mkfs.btrfs", "-q", str(self._image))
        self._run("mount", "-o", "loop", str(self._image), str(self.states))
        self.states.chmod(0o700)
        self._run("btrfs", "quota", "enable", str(self.states))

    def _run(self, *words: str) -> None:
        try:
            done = run_to_end(list(words))
        except FileNotFoundError:
            pytest.skip(f"{words[0]} is not there: install btrfs-progs and mount")
        if done.returncode:
            pytest.skip(f"no quota can be had here: {words[0]}: {done.stderr.strip()}")

    def folder(self, name: str) -> Path:
        """Return the folder of a node, with its quota."""
        made = self.states / name
        if not made.exists():
            self._run("btrfs", "subvolume", "create", str(made))
            self._run("btrfs", "qgroup", "limit", QUOTA, str(made))
            made.chmod(0o700)
        return made

    def use_up(self, name: str) -> int:
        """Write until no more is let; return the error's number."""
        said = 0
        for size in (1 << 16, 1 << 12):
            said = self._write(self.folder(name) / "ballast", size)
        return said

    def _write(self, path: Path, size: int) -> int:
        with path.open("ab", buffering=0) as file:
            while True:
                try:
                    file.write(os.urandom(size))
                    os.fsync(file.fileno())
                except OSError as error:
                    return error.errno or 0

    def free(self, name: str) -> None:
        (self.folder(name) / "ballast").unlink()

    def close(self) -> None:
        super().close()
        if os.path.ismount(self.states):
            run_to_end(["umount", str(self.states)], check=True)
        self._image.unlink(missing_ok=True)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Quotas]:
    if os.geteuid():
        pytest.skip("only root may mount a disk with quotas")
    made = None
    try:
        made = Quotas(tmp_path)
        yield made
    finally:
        if made is not None:
            made.close()


def refused(lab: Lab, name: str) -> str:
    """What a change is told at a node, "" where it takes place."""
    with connect(lab.endpoint(name), home=lab.home, timeout=20) as m:
        try:
            m.deploy_actor("sink", f"p{next(PROBES)}", name)
        except ZactorError as error:
            return str(error)
    return ""


@pytest.mark.slow
def test_a_quota_that_is_used_up_is_a_full_disk_and_room_brings_the_node_back(lab: Quotas) -> None:
    for name in ("n1", "n2", "n3"):
        lab.folder(name)
        lab.start(name)
    until("they meet", lambda: lab.names_up("n1") == {"n1", "n2", "n3"})
    with connect(lab.endpoint("n1"), home=lab.home, timeout=20) as m:
        for kind in ("source", "sink"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("source", "s", "n3")
        lives = {row["name"]: row["incarnation"] for row in m.nodes()}
        assert lab.use_up("n3") == errno.EDQUOT, "else this is a test of a full disk"

        def state() -> str:
            m.deploy_actor("sink", f"k{next(PROBES)}", "n1")  # the others go on meanwhile
            return next(str(row["state"]) for row in m.nodes() if row["name"] == "n3")

        until("n3 says that its disk is full", lambda: state() == "disk full", BACK_S)
        assert m.ask("s", "burst", 3) == 3, "its actors go on"
    said = "kb.sqlite: no space left on device: make room there"
    until("n3 refuses changes, and says why", lambda: said in refused(lab, "n3"), BACK_S)
    lab.free("n3")
    until("n3 takes changes again", lambda: not refused(lab, "n3"), BACK_S)
    with connect(lab.endpoint("n3"), home=lab.home, timeout=20) as m:
        assert {row["name"]: row["incarnation"] for row in m.nodes()} == lives
        assert any(row["event"] == "disk_roomy" for row in m.events())
