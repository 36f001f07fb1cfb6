"""A disk that is full takes its node out of what is agreed, and out of nothing else.

Each node's state folder is a small disk of its own (tmpfs), filled up and freed under load.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from deadlines import end, run_to_end

from zactor import NotPrimary, RemoteActionError, ZactorError, connect
from zactor.client.blocking_master import BlockingMaster
from zactor.lab.lab import Lab, until
from zactor.supervisor.observe import trace_log

HERE = Path(__file__).parent
ACTORS = HERE / "actors.py"
PROBES = itertools.count(1)
DISK = "size=8m,mode=700"
TIMES = 10
BACK_S = 60.0


class SmallDisks(Lab):
    """A lab in which each node's folder is a file system of its own."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._mounted: list[Path] = []

    def folder(self, name: str) -> Path:
        return self.home / "state" / name

    def mount(self, *names: str) -> None:
        (self.home / "state").mkdir(mode=0o700, exist_ok=True)
        for name in names:
            self.folder(name).mkdir(mode=0o700)
            words = ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", str(self.folder(name))]
            done = run_to_end(words)
            if done.returncode:
                pytest.skip(f"no small disk can be had here: {done.stderr.strip()}")
            self._mounted.append(self.folder(name))

    def fill(self, name: str) -> None:
        """Leave no byte."""
        for file in (self.folder(name) / "ballast", *self.folder(name).glob("*.log")):
            with file.open("ab", buffering=0) as there:
                for size in (1 << 16, 1 << 12, 1):
                    with contextlib.suppress(OSError):  # no space left on device
                        while True:
                            there.write(b"\n" * size)

    def free(self, name: str) -> None:
        (self.folder(name) / "ballast").unlink()

    def close(self) -> None:
        super().close()
        for folder in self._mounted:
            run_to_end(["umount", "--lazy", folder], check=True)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[SmallDisks]:
    if os.geteuid():
        pytest.skip("only root may mount a small disk")
    made = SmallDisks(tmp_path)
    try:
        yield made
    finally:
        made.close()


def start(lab: SmallDisks, *names: str) -> None:
    lab.mount(*names)
    for name in names:
        lab.start(name)
    until("they meet", lambda: all(lab.names_up(at) == {*names} for at in names))


def at(lab: Lab, name: str, timeout: float = 20) -> BlockingMaster:
    return connect(lab.endpoint(name), home=lab.home, timeout=timeout)


def declared(lab: Lab, name: str) -> set[str]:
    with at(lab, name) as m:
        return {str(row["type"]) for row in m.factories()}


def state_of(lab: Lab, name: str, seen_at: str) -> str:
    with at(lab, seen_at) as m:
        return next((str(row["state"]) for row in m.nodes() if row["name"] == name), "")


def refused(lab: Lab, name: str) -> str:
    """What a change is told at a node, "" where it takes place."""
    source = lab.home / "probe.py"
    source.write_text("from zactor import Actor\n\n\nclass Probe(Actor):\n    pass\n")
    try:
        with at(lab, name) as m:
            m.declare_factory(f"probe_{next(PROBES)}", source)
    except ZactorError as error:
        return str(error)
    return ""


class Load:
    """Clients that make changes all the time, one at each node."""

    def __init__(self, lab: Lab, names: Sequence[str]) -> None:
        self._home = lab.home
        self._clients = [self._client(name, lab.endpoint(name)) for name in names]
        for name in names:
            until(f"one at {name} works", lambda name=name: bool(self.done(name)))

    def _client(self, name: str, endpoint: str) -> subprocess.Popen[bytes]:
        script = str(HERE / "kb_committer.py")
        words = [sys.executable, script, str(self._home), f"f_{name}", endpoint]
        with (
            (self._home / f"done-{name}.txt").open("ab") as done,
            (self._home / f"refused-{name}.txt").open("ab") as no,
        ):
            return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=done, stderr=no)

    def done(self, name: str = "*") -> set[str]:
        files = self._home.glob(f"done-{name}.txt")
        return {line for file in files for line in file.read_text().splitlines()}

    def stop(self) -> None:
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.close()
        for client in self._clients:
            assert client.wait(BACK_S) == 0

    def close(self) -> None:
        for client in self._clients:
            end(client)


def _fill_and_free(
    lab: SmallDisks, load: Load, names: tuple[str, ...], full: str, sent: int
) -> None:
    """The disk of `full` has no room for a while; each source has sent so much at the end."""

    def all_see(state: str) -> None:
        for seen_at in names:
            until(
                f"{full} is {state} at {seen_at}",
                lambda seen_at=seen_at: state_of(lab, full, seen_at) == state,
            )

    others = [name for name in names if name != full]
    lab.fill(full)
    all_see("disk full")
    file = lab.folder(full) / "kb.sqlite"
    said = f"{full} takes no changes: {file}: no space left on device"
    with at(lab, full) as m:
        assert any(said in trouble for trouble in m.status()["troubles"])
    assert said in refused(lab, full)
    with at(lab, others[0]) as m:
        until("they go on without it", lambda: set(m.status()["primary"]) == set(others))
        told = f"{full} takes no part in changes: the disk of {full} has no space left"
        assert any(trouble.startswith(told) for trouble in m.status()["troubles"])
        for name in names:
            assert m.ask(f"s_{name}", "burst", 100) == sent
    known = {name: len(load.done(name)) for name in others}
    for name in others:
        until("changes go on", lambda name=name: len(load.done(name)) > known[name] + 1, BACK_S)
    lab.free(full)
    all_see("up")
    until("it takes changes", lambda: not refused(lab, full), BACK_S)


@pytest.mark.slow
@pytest.mark.limit(400)
def test_no_actor_and_no_acknowledged_change_is_lost_while_disks_fill_under_load(
    lab: SmallDisks,
) -> None:
    names = ("n1", "n2", "n3")
    start(lab, *names)
    with at(lab, "n1") as m:
        for kind in ("source", "sink"):
            m.declare_factory(kind, ACTORS)
        for name in names:
            m.deploy_actor("source", f"s_{name}", name)
            m.deploy_actor("sink", f"k_{name}", name)
        for name, other in zip(names, (*names[1:], names[0]), strict=True):
            m.react_interaction(f"k_{other}", f"s_{name}", "number")
        for name in names:
            assert not refused(lab, name)  # so that its bundle is there
        before = {row["name"]: (row["uid"], row["node"]) for row in m.actors()}
        lives = {row["name"]: row["incarnation"] for row in m.nodes()}
    load, sent = Load(lab, names), 0
    try:
        for number in range(TIMES):
            sent += 100
            _fill_and_free(lab, load, names, names[number % 3], sent)
        load.stop()
    finally:
        load.close()
    acknowledged = load.done()
    assert acknowledged
    for name in names:
        until(f"{name} has all", lambda name=name: acknowledged <= declared(lab, name))
    with at(lab, "n2") as m:
        assert {row["name"]: (row["uid"], row["node"]) for row in m.actors()} == before
        assert {row["name"]: row["incarnation"] for row in m.nodes()} == lives
        for name in names:
            until(
                "all signals came",
                lambda name=name: (
                    m.ask(f"k_{name}", "report")
                    == {"count": sent, "last": sent - 1, "wrong": [], "pokes": 0}
                ),
            )
    for name in names:
        lab.kill(name)
    for name in names:
        lab.start(name)  # with what is on the disks
    for name in names:
        until(f"{name} has all", lambda name=name: acknowledged <= declared(lab, name), BACK_S)


@pytest.mark.slow
def test_a_node_alone_refuses_changes_while_its_disk_is_full(lab: SmallDisks) -> None:
    start(lab, "n1")
    with at(lab, "n1") as m:
        for kind in ("source", "sink"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("source", "s", "n1")
        lab.fill("n1")
        with contextlib.suppress(ZactorError):  # the first to find no room isn't decided
            m.deploy_actor("sink", "first", "n1")
        file = lab.folder("n1") / "kb.sqlite"
        said = f"n1 takes no changes: {file}: no space left on device: make room there"
        with pytest.raises(NotPrimary, match=said):
            m.deploy_actor("sink", "second", "n1")
        assert m.ask("s", "burst", 3) == 3
        assert m.nodes()[0]["state"] == "disk full"
        assert any(row["event"] == "disk_full" and str(file) in row["why"] for row in m.events())
        lab.free("n1")
        until("changes are taken again", lambda: not refused(lab, "n1"))
        m.deploy_actor("sink", "third", "n1")
        assert any(row["event"] == "disk_roomy" for row in m.events())
        assert m.nodes()[0]["incarnation"] == 1


@pytest.mark.slow
def test_who_cannot_decide_without_a_full_disk_waits_for_it(lab: SmallDisks) -> None:
    start(lab, "n1", "n2")  # of two halves n1's takes changes
    lab.fill("n1")
    until("n2 knows", lambda: bool(refused(lab, "n2")) and state_of(lab, "n1", "n2") == "disk full")
    assert "the disk of n1 has no space left: make room there" in refused(lab, "n2")
    lab.free("n1")
    for name in ("n1", "n2"):
        until(f"{name} takes changes", lambda name=name: not refused(lab, name))
    lab.fill("n2")
    with at(lab, "n1") as m:
        until(
            "n1 goes on alone", lambda: not refused(lab, "n1") and m.status()["primary"] == ["n1"]
        )
    lab.free("n2")
    until("n2 is back", lambda: not refused(lab, "n2"))


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        lab.start("n1")
        with at(lab, "n1") as m:
            for kind in ("source", "sink"):
                m.declare_factory(kind, ACTORS)
            m.deploy_actor("source", "s", "n1")
            _, most = resource.prlimit(lab.pid("n1"), resource.RLIMIT_FSIZE)
            resource.prlimit(lab.pid("n1"), resource.RLIMIT_FSIZE, (4096, most))
            with contextlib.suppress(ZactorError):  # the first to find no room isn't decided
                m.deploy_actor("sink", "first", "n1")
            with pytest.raises(NotPrimary, match=r"kb\.sqlite: no space left on device"):
                m.deploy_actor("sink", "second", "n1")
            assert m.ask("s", "burst", 3) == 3
            resource.prlimit(lab.pid("n1"), resource.RLIMIT_FSIZE, (most, most))
            until("changes are taken again", lambda: not refused(lab, "n1"))
            assert m.nodes()[0]["incarnation"] == 1
    finally:
        lab.close()


@pytest.mark.slow
def test_logs_and_traces_that_find_no_room_cost_lines_and_nothing_else(lab: SmallDisks) -> None:
    """They go on when they have it again."""
    logs = "../log"  # a small disk as well
    lab.mount("n1", logs)
    lab.start("n1", env={trace_log.VARIABLE: str(lab.folder("n1"))})
    with at(lab, "n1") as m:
        for kind in ("source", "sink"):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("source", "s", "n1")
        lab.fill(logs)
        lab.fill("n1")
        assert m.ask("s", "burst", 3) == 3
        with pytest.raises(RemoteActionError):  # which is logged
            m.ask("s", "burst", "many", anyway=True)
        assert "no space left" in refused(lab, "n1")
        traced = (lab.folder("n1") / "n1@1.jsonl").stat().st_size
        lab.free(logs)
        lab.free("n1")
        until("changes are taken again", lambda: not refused(lab, "n1"))
        assert m.nodes()[0]["incarnation"] == 1
        m.deploy_actor("sink", "later", "n1")
    lines = (lab.folder("n1") / "n1@1.jsonl").read_bytes()
    assert len(lines) > traced
    until("its log goes on", lambda: "lines are missing" in lab.output("n1"))


@pytest.mark.slow
def test_a_bundle_that_finds_no_room_is_refused_and_a_start_says_where(lab: SmallDisks) -> None:
    start(lab, "n1")
    (lab.home / "long.py").write_text(
        f"{ACTORS.read_text()}\n# {os.urandom(5 << 20).hex()}\n"  # 10 MB, which can't be packed
    )
    with at(lab, "n1") as m:
        folder = lab.folder("n1") / "bundles"
        with pytest.raises(ZactorError, match=f"{folder}.*: no space left on device"):
            m.declare_factory("source", lab.home / "long.py")
        assert not list(folder.glob("*.part")), "it takes no room from others"
        m.declare_factory("source", ACTORS)
    lab.kill("n1")
    lab.fill("n1")
    done = run_to_end(
        [sys.executable, "-m", "zactor.supervisor", "--name", "n1", "--home", str(lab.home)]
    )
    assert done.returncode == 1, done.stderr
    assert "no space left on device" in done.stderr.splitlines()[-1]
    assert str(lab.folder("n1")) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
