"""Never two of one name in real splits: an actor that may run elsewhere says when it lives."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import run_to_end

from zactor.kernel import limits
from zactor.lab.lab import DEADLINE_S, until
from zactor.lab.namespaces import NetLab, why_not

NODES = ("n1", "n2", "n3")
# A node that was lost often is held down, and its cut counts (PROTOCOL.md F6).
HELD_DOWN_S_MAX = limits.GROUP_HOLD_DOWN_MS_MAX / 1000 - limits.STOPPED_AFTER_S
CODE = """
import asyncio, os, time
from zactor import Actor

class Beacon(Actor):
    def __init__(self, file: str) -> None:
        self.file = file
    async def on_start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.shine())
    async def shine(self) -> None:
        with open(self.file, "a", buffering=1) as out:
            while True:
                out.write(f"{time.monotonic()} {os.getpid()}-{id(self)}\\n")
                await asyncio.sleep(0.02)
    def on_stop(self, reason: str) -> None:
        self.task.cancel()
"""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[NetLab]:
    why = why_not()
    if why:
        pytest.skip(why)
    made = NetLab(tmp_path)
    try:
        for node in NODES:
            made.start(node)
        until("all meet", lambda: len(ups(made, "n1")) == len(NODES))
        yield made
    finally:
        made.close()


def zactor(net: NetLab, node: str, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
    where = ["--json", "--home", str(net.home), "--endpoint", net.endpoint(node)]
    done = run_to_end(
        [*net.prefix(node), sys.executable, "-m", "zactor", *words[:1], *where, *words[1:]]
    )
    assert done.returncode in codes, (words, done.stdout, done.stderr)
    return json.loads(done.stdout)


def ups(net: NetLab, at: str) -> list[str]:
    return [row["name"] for row in zactor(net, at, "nodes") if row["state"] == "up"]


def wait_for_all(net: NetLab) -> float:
    """Wait until all see all; return how many seconds that took, or say how it stands."""
    try:
        return until("all are back", lambda: not apart(net), HELD_DOWN_S_MAX + DEADLINE_S)
    except AssertionError as error:
        error.add_note(f"who doesn't see all: {apart(net)}")
        for at in NODES:
            status = zactor(net, at, "status", codes=(0, 3))
            error.add_note(f"troubles at {at}: {status['troubles']}")
            error.add_note(f"the end of its log: {net.output(at)[-2_000:]}")
        raise


def apart(net: NetLab) -> dict[str, list[str]]:
    """Who doesn't see all nodes, and whom it sees."""
    seen = {at: ups(net, at) for at in NODES}
    return {at: names for at, names in seen.items() if len(names) < len(NODES)}


def place(net: NetLab, at: str) -> tuple[str, str]:
    (row,) = zactor(net, at, "ps")
    return row["node"], row["state"]


def lives(shone: Path) -> list[tuple[float, float]]:
    """Return from when to when it shone, life by life."""
    when: dict[str, list[float]] = {}
    for line in shone.read_text().splitlines():
        at, who = line.split()
        when.setdefault(who, []).append(float(at))
    return sorted((min(times), max(times)) for times in when.values())


def check(shone: Path, count: int) -> None:
    """So many lives there were, one after the other."""
    found = lives(shone)
    assert len(found) == count
    for (_, end), (begin, _) in itertools.pairwise(found):
        assert end < begin, (end, begin)
        print(f"none ran for {begin - end:.1f} s")


def lab_toml(folder: Path, *on: str) -> Path:
    (folder / "code.py").write_text(CODE)
    file = folder / "lab.toml"
    file.write_text(
        '[cluster]\nname = "lab"\n[factories]\nbeacon = "code.py"\n[actors.b1]\ntype = "beacon"\n'
        f'on = {json.dumps(on)}\nargs = {{ file = "{folder / "shone"}" }}\n'
    )
    return file


@pytest.mark.slow
@pytest.mark.parametrize("splits", [1, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.limit(1_500)
def test_what_is_cut_off_stops_before_it_runs_elsewhere(
    net: NetLab, tmp_path: Path, splits: int
) -> None:
    shone = tmp_path / "shone"
    file = lab_toml(tmp_path, "n3", "n2", "n1")
    zactor(net, "n1", "apply", str(file), "--yes")
    for number in range(splits):
        host, _ = place(net, "n1" if not shone.exists() else "n2")
        others = [name for name in NODES if name != host]
        began = time.monotonic()
        net.split((host,), others)
        until(
            "it runs elsewhere",
            lambda others=others: place(net, others[0]) in [(n, "running") for n in others],
            limits.SAFE_AFTER_S + 60,
        )
        print(f"on the next node {time.monotonic() - began:.1f} s after the cut")
        assert place(net, host) == (host, "stopped"), "it says what it has done"
        net.heal()
        print(f"all are back {wait_for_all(net):.1f} s after split {number}")
        assert place(net, host)[0] in others  # where it went it stays
        check(shone, number + 2)


@pytest.mark.slow
def test_a_file_that_says_otherwise_behind_a_nodes_back_makes_none_run_twice(
    net: NetLab, tmp_path: Path
) -> None:
    zactor(net, "n1", "apply", str(lab_toml(tmp_path, "n3")), "--yes")
    assert place(net, "n1") == ("n3", "running")
    net.split(("n3",), ("n1", "n2"))
    until("it is lost", lambda: place(net, "n1") == ("n3", "lost"))
    zactor(net, "n1", "apply", str(lab_toml(tmp_path, "n2")), "--yes", "--no-wait")
    until(
        "the others say why it waits",
        lambda: "waits for n3" in str(zactor(net, "n1", "status", codes=(0, 3))["troubles"]),
    )
    deadline = time.monotonic() + limits.SAFE_AFTER_S + 3
    while time.monotonic() < deadline:  # n3 knows of no other place, and goes on
        assert place(net, "n1") == ("n3", "lost")
    net.heal()
    until("it moved", lambda: place(net, "n1") == ("n2", "running"), HELD_DOWN_S_MAX + DEADLINE_S)
    until("it shines there", lambda: len(lives(tmp_path / "shone")) == 2)
    check(tmp_path / "shone", 2)
