"""Signals to an actor that handles nothing cost neither node memory, whatever its policy."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from deadlines import DEADLINE_S

from zactor import TimedOut, connect
from zactor.lab.lab import Lab, until

GROWTH_BYTES_MAX = 50 << 20
ACTORS = """
import asyncio
from zactor import Actor, action, signal


class Source(Actor):
    number = signal(int, str)
    sent = 0

    @action
    def run(self, count: int) -> None:
        for number in range(min(100, count)):
            self.number.emit(number, "x" * 60)
            self.sent += 1
        if count > 100:
            self.ref(self.name).run.tell(count - 100)

    @action
    def so_far(self) -> int:
        return self.sent


class Stuck(Actor, mailbox_policy="POLICY"):
    @action
    async def number(self, number: int, text: str) -> None:
        await asyncio.Event().wait()
"""


def resident_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


def check(lab: Lab, policy: str, count: int) -> None:
    (lab.home / "actors.py").write_text(ACTORS.replace("POLICY", policy))
    for name in ("n1", "n2"):
        lab.start(name)
    until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    pids = [lab.pid(name) for name in ("n1", "n2")]
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        for factory, name, node in (("Source", "source", "n1"), ("Stuck", "stuck", "n2")):
            m.declare_factory(factory, lab.home / "actors.py")
            m.deploy_actor(factory, name, node)
        m.react_interaction("stuck", "source", "number")
        m.ask("source", "so_far")
        before = [resident_bytes(pid) for pid in pids]
        m.tell("source", "run", count)
        sent, is_muted, end = 0, False, time.monotonic() + 10 * DEADLINE_S
        while sent < count and not is_muted:  # who blocks its senders mutes this one, for ever
            assert time.monotonic() < end, f"{sent} of {count} sent"
            with contextlib.suppress(TimedOut):
                sent = m.ask("source", "so_far", timeout=5)
                continue
            is_muted = policy == "block"
        assert is_muted == (policy == "block")
        for pid, was in zip(pids, before, strict=True):
            assert resident_bytes(pid) - was < GROWTH_BYTES_MAX


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_a_stuck_actor_costs_little(lab: Lab, policy: str) -> None:
    check(lab, policy, 60_000)


@pytest.mark.soak
@pytest.mark.limit(600)
@pytest.mark.parametrize("policy", ["block", "reject", "drop_newest", "drop_oldest"])
def test_a_million_signals_to_a_stuck_actor_cost_less_than_50_mb(lab: Lab, policy: str) -> None:
    check(lab, policy, 1_000_000)
