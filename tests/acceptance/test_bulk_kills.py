"""Long messages in shared memory, while nodes are killed: no wrong byte, and nothing is left."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from zactor import connect
from zactor.kernel import limits
from zactor.kernel.transport.memory_pool import NAME
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).parent / "bulk_actors.py"
AT_ONCE = 3

pytestmark = pytest.mark.slow


def slots(lab: Lab) -> dict[int, int]:
    """How many slots each process of the lab holds, by pid."""
    held: dict[int, int] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if str(lab.home).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes():
                continue
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:  # it ends just now, or is another user's
            continue
        if count := len([link for link in links if link.startswith(f"/memfd:{NAME}")]):
            held[int(pid)] = count
    return held


@pytest.mark.parametrize(
    "kills", [4, pytest.param(200, marks=[pytest.mark.soak, pytest.mark.limit(1_800)])]
)
def test_whoever_is_killed_meanwhile_no_byte_is_wrong_and_no_memory_is_left(
    lab: Lab, kills: int
) -> None:
    drawn = random.Random(kills)
    for node in ("n1", "n2", "n3"):
        lab.start(node)
    with connect(lab.endpoint("n3"), home=lab.home) as m:
        until("all meet", lambda: lab.names_up("n3") == {"n1", "n2", "n3"})
        for kind, name, node in (("sender", "sender", "n1"), ("taker", "taker", "n2")):
            m.declare_factory(kind, ACTORS)
            m.deploy_actor(kind, name, node)

        def goes_on() -> bool:
            return m.ask("sender", "counted", timeout=5)["answered"] > AT_ONCE  # type: ignore[no-any-return]

        m.tell("sender", "begin", AT_ONCE)
        for kill in range(kills):
            until(f"long messages go to and fro after {kill} kills", goes_on)
            for name in ("sender", "taker"):
                assert m.ask(name, "counted", timeout=5)["wrong"] == 0
            assert all(count <= 4 * limits.SHARED_SLOTS_MAX for count in slots(lab).values())
            victim = drawn.choice(("n1", "n2"))
            until("memory is shared", lambda: slots(lab))
            lab.kill(victim)
            until("it is missed", lambda v=victim: v not in lab.names_up("n3"))
            lab.start(victim)
            until("it is back", lambda: lab.names_up("n3") == {"n1", "n2", "n3"})
            m.restore()
            if victim == "n1":
                m.tell("sender", "begin", AT_ONCE)
        until(f"long messages go to and fro after {kills} kills", goes_on)
    lab.close()
    assert slots(lab) == {}
    assert [name for name in os.listdir("/dev/shm") if "zactor" in name] == []
