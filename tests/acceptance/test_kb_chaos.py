"""Five nodes, a client that commits all the time, and kill -9 of any of them, or of all at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

import pytest
from deadlines import join, run_to_end

from zactor import ZactorError, connect
from zactor.lab.lab import Lab, until
from zactor.supervisor.observe.trace_log import VARIABLE

AUDIT = Path(__file__).with_name("kb_audit.py")
ACTOR = """
from zactor import Actor


class Nothing(Actor):
    pass
"""
NODES = ("m1", "n1", "n2", "n3", "n4")


class Committer:
    """Declares factories one after the other, at whatever node answers, and notes what is done."""

    def __init__(self, lab: Lab) -> None:
        self.done: list[str] = []
        self.refused = 0
        self.unknown = 0
        self.longest_s = 0.0  # between two that were done
        self._lab = lab
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        source = self._lab.home / "nothing.py"
        source.write_text(ACTOR)
        number = 0
        last = time.monotonic()
        while not self._stopping.is_set():
            try:
                with connect(home=self._lab.home, timeout=5) as m:
                    while not self._stopping.is_set():
                        number += 1
                        m.declare_factory(f"f{number}", source)
                        self.done.append(f"f{number}")
                        self.longest_s = max(self.longest_s, time.monotonic() - last)
                        last = time.monotonic()
            except ZactorError as error:
                kind = type(error).__name__
                self.unknown += kind in ("OutcomeUnknown", "TimedOut")
                self.refused += kind not in ("OutcomeUnknown", "TimedOut")
                self._stopping.wait(0.02)

    def stop(self) -> None:
        self._stopping.set()
        join(self._thread)


def start(lab: Lab, name: str) -> None:
    lab.start(name, role="master" if name == "m1" else "node")


def torment(lab: Lab, chance: random.Random, seconds: float) -> int:
    """Kill and restart for so long; return how many were killed."""
    killed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        living = [name for name in NODES if name in lab.names]
        victims = living if chance.random() < 0.1 else [chance.choice(living)]
        for name in victims:
            lab.kill(name)
            killed += 1
        time.sleep(chance.uniform(0.0, 1.5))  # how long they are missed is a part of the play
        dead = [name for name in NODES if name not in lab.names]
        for name in dead if len(dead) > 2 or chance.random() < 0.7 else []:
            start(lab, name)
        time.sleep(chance.uniform(0.0, 2.0))
    return killed


def facts_of(lab: Lab, name: str) -> list[str]:
    with connect(lab.endpoint(name), home=lab.home) as m:
        return sorted(str(row["fact"]) for row in m.facts())


def run(lab: Lab, seed: int, seconds: float) -> Committer:
    """Play, then bring all back and let the audit look at what is left."""
    chance = random.Random(seed)
    for name in NODES:
        start(lab, name)
    until("all meet", lambda: lab.names_up("m1") == set(NODES))
    client = Committer(lab)
    try:
        killed = torment(lab, chance, seconds)
    finally:
        client.stop()
    for name in NODES:
        if name not in lab.names:
            start(lab, name)
    until("all are back", lambda: lab.names_up("m1") == set(NODES), 30)
    copies: dict[str, list[str]] = {}

    def alike() -> bool:
        copies.update({name: facts_of(lab, name) for name in NODES})
        return len({json.dumps(copy) for copy in copies.values()}) == 1

    until("all know the same", alike, 10)
    for name, copy in copies.items():
        (lab.home / f"facts-{name}.json").write_text(json.dumps(copy))
    (lab.home / "acknowledged.txt").write_text("\n".join(client.done))
    done = run_to_end([sys.executable, str(AUDIT), str(lab.home)])
    print(f"seed {seed}: {killed} killed, {client.refused} refused, {client.unknown} unknown,")
    print(f"longest wait {client.longest_s:.1f} s; {done.stdout}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert client.done, "nothing was ever acknowledged"
    return client


@pytest.fixture
def traced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv(VARIABLE, str(lab.home / "trace"))
    return lab


@pytest.mark.parametrize("seconds", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost_while_nodes_die_and_return(
    traced: Lab, seconds: float
) -> None:
    run(traced, 1, seconds)


@pytest.mark.soak
def test_nothing_acknowledged_is_lost_in_ten_minutes(traced: Lab) -> None:
    with contextlib.suppress(KeyError):
        print("seed", os.environ["ZACTOR_SEED"])
    run(traced, int(os.environ.get("ZACTOR_SEED", "7")), 600)
