"""Five nodes, a client at each that commits all the time, and whatever can befall nodes.

Kill -9 of any of them or of all at once; splits and frozen nodes; disks that are lost, full, or put
back from an older copy. An audit looks at what is left: all that was acknowledged, and no fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import end, run_to_end

from zactor import NotReachable
from zactor.lab.lab import Lab, until
from zactor.lab.namespaces import NetLab, why_not
from zactor.supervisor.observe.trace_log import VARIABLE

HERE = Path(__file__).parent
NODES = ("m1", "n1", "n2", "n3", "n4")
BACK_S = 60.0
ROOM_BYTES = 512 << 10  # what fits on a disk that is nearly full


class ChaosLab(Lab):
    """Nodes of one home, some of which can't write long files."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.room: dict[str, int] = {}  # of each file, in bytes

    def prefix(self, name: str) -> list[str]:
        return ["prlimit", f"--fsize={self.room[name]}"] if name in self.room else []


class Play:
    """The nodes, their clients, and the chance that decides what befalls them."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.chance = random.Random(seed)
        self.count = 0  # of what befell them
        self._starts = 0
        for name in NODES:
            self.start(name)
        self.all_back()
        self._clients = [self._client(name) for name in NODES]

    def start(self, name: str) -> None:
        self._starts += 1  # a node that lost its folder bears the name of an earlier life
        trace = self.lab.home / "trace" / str(self._starts)
        role = "master" if name == "m1" else "node"
        self.lab.start(name, role=role, env={VARIABLE: str(trace)})

    def kill(self, name: str) -> None:
        self.lab.kill(name)
        self.count += 1

    @property
    def living(self) -> list[str]:
        return [name for name in NODES if name in self.lab.names]

    @property
    def dead(self) -> list[str]:
        return [name for name in NODES if name not in self.lab.names]

    def wait(self, longest_s: float) -> None:
        time.sleep(self.chance.uniform(0.0, longest_s))  # how long it lasts is a part of the play

    def all_back(self) -> None:
        for name in self.dead:
            self.start(name)
        for name in NODES:
            self.ask(name, lambda facts: {_node(one) for one in facts} >= set(NODES))

    def _run(self, script: str, name: str, *words: str) -> list[str]:
        return [
            *self.lab.prefix(name),
            sys.executable,
            str(HERE / script),
            str(self.lab.home),
            *words,
        ]

    def _client(self, name: str) -> subprocess.Popen[bytes]:
        with (
            (self.lab.home / f"done-{name}.txt").open("ab") as done,
            (self.lab.home / f"refused-{name}.txt").open("ab") as refused,
        ):
            words = self._run("kb_committer.py", name, f"f{name}")
            return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=done, stderr=refused)

    def facts(self, name: str) -> list[str]:
        done = run_to_end(self._run("kb_facts.py", name, self.lab.endpoint(name)))
        return [] if done.returncode else list(json.loads(done.stdout))

    def ask(self, name: str, wanted: Callable[[list[str]], bool]) -> None:
        until(f"{name} knows all", lambda: wanted(self.facts(name)), BACK_S)

    def lines(self, what: str) -> list[str]:
        files = sorted(self.lab.home.glob(f"{what}-*.txt"))
        return [line for file in files for line in file.read_text().splitlines()]

    def stop_clients(self) -> None:
        for client in self._clients:
            assert client.stdin is not None
            client.stdin.close()
        for client in self._clients:
            assert client.wait(BACK_S) == 0

    def close(self) -> None:
        for client in self._clients:
            end(client)


def _node(fact: str) -> str:
    return fact.removeprefix("node(").partition(",")[0] if fact.startswith("node(") else ""


# -- what befalls them -----------------------------------------------------------------------
def kills(play: Play) -> None:
    """One dies, or all; most come back soon."""
    for name in play.living if play.chance.random() < 0.1 else [play.chance.choice(play.living)]:
        play.kill(name)
    play.wait(1.5)
    for name in play.dead if len(play.dead) > 2 or play.chance.random() < 0.7 else []:
        play.start(name)
    play.wait(2.0)


def splits(play: Play) -> None:
    """Cables are pulled, in two parts or three; nodes freeze, and find another network."""
    assert isinstance(play.lab, NetLab)
    names, chance = list(NODES), play.chance
    chance.shuffle(names)
    first, second = sorted(chance.sample(range(len(names) + 1), 2))
    frozen = [name for name in NODES if chance.random() < 0.15]
    for name in frozen:
        play.lab.freeze(name)
    if chance.random() < 0.8:
        play.lab.split(names[:first], names[first:second], names[second:])
    play.count += 1
    play.wait(3.0)
    for name in frozen:
        play.lab.thaw(name)
    if chance.random() < 0.7:
        play.lab.heal()
        play.wait(3.0)


def disks(play: Play) -> None:
    """The disk of one is lost, is an older copy, or is full. The others go on."""
    assert isinstance(play.lab, ChaosLab)
    name = play.chance.choice([name for name in NODES if name != "m1"])
    folder = play.lab.home / "state" / name
    copy = play.lab.home / "copies" / name
    match play.chance.choice(("lost", "older", "full")):
        case "lost":
            play.kill(name)
            shutil.rmtree(folder)
        case "older" if copy.exists():
            play.kill(name)
            shutil.rmtree(folder)
            shutil.copytree(copy, folder)
        case "older":
            with contextlib.suppress(shutil.Error):  # it is written meanwhile: a copy with a tear
                shutil.copytree(folder, copy)
            return
        case _:
            play.kill(name)
            play.lab.room[name] = play.lab.output_file(name).stat().st_size + ROOM_BYTES
            with contextlib.suppress(NotReachable):  # it may end at once
                play.start(name)
            until(f"{name} ends", lambda: name not in play.lab.names, BACK_S)
            del play.lab.room[name]
    play.wait(1.0)
    play.all_back()  # one disk at a time: with two of them what a majority has may be gone
    play.wait(2.0)


# -- the play --------------------------------------------------------------------------------
def run(lab: Lab, seed: int, seconds: float, befall: Callable[[Play], None]) -> None:
    """Play, then bring all back and let the audit look at what is left."""
    play = Play(lab, seed)
    try:
        over = time.monotonic() + seconds
        while time.monotonic() < over:
            befall(play)
        if isinstance(lab, NetLab):
            lab.heal()
        play.all_back()
        play.stop_clients()
    finally:
        play.close()
    copies: dict[str, list[str]] = {}

    def alike() -> bool:
        copies.update({name: play.facts(name) for name in NODES})
        return len({json.dumps(copy) for copy in copies.values()}) == 1

    until("all know the same", alike, BACK_S)
    for name, facts in copies.items():
        (lab.home / f"facts-{name}.json").write_text(json.dumps(facts))
    acknowledged = play.lines("done")
    (lab.home / "acknowledged.txt").write_text("\n".join(acknowledged))
    done = run_to_end([sys.executable, str(HERE / "kb_audit.py"), str(lab.home)])
    print(f"seed {seed}: {play.count} times, {len(play.lines('refused'))} refused; {done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert acknowledged, "nothing was ever acknowledged"


SECONDS = [
    pytest.param(4, marks=pytest.mark.slow),
    pytest.param(600, marks=[pytest.mark.soak, pytest.mark.limit(900)]),
]


def _seed() -> int:
    return int(os.environ.get("ZACTOR_SEED", "7"))


@pytest.fixture
def net(tmp_path: Path) -> Iterator[NetLab]:
    why = why_not()
    if why:
        pytest.skip(why)
    made = NetLab(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("seconds", SECONDS)
def test_nothing_acknowledged_is_lost_while_nodes_die_and_return(lab: Lab, seconds: float) -> None:
    run(lab, _seed(), seconds, kills)


@pytest.mark.parametrize("seconds", SECONDS)
def test_nothing_acknowledged_is_lost_while_the_network_splits_and_nodes_freeze(
    net: NetLab, seconds: float
) -> None:
    run(net, _seed(), seconds, splits)


@pytest.mark.parametrize("seconds", SECONDS)
def test_nothing_acknowledged_is_lost_while_disks_are_lost_older_or_full(
    tmp_path: Path, seconds: float
) -> None:
    lab = ChaosLab(tmp_path)
    try:
        run(lab, _seed(), seconds, disks)
    finally:
        lab.close()
