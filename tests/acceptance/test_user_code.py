"""User code can't delay the kernel: whatever an action does, heartbeats leave in time, what arrives
is acknowledged in time, and no view changes.

A machine that is busy with other things delays everybody. So a control thread in the same process,
which only sleeps, notes how late it is woken, and only what the kernel is later than that counts.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from zactor import connect
from zactor.kernel import limits
from zactor.lab.lab import Lab, until
from zactor.supervisor.observe.trace_log import VARIABLE
from zactor.testing.group_sim.history import read_logs

ACTORS = Path(__file__).with_name("busy_actors.py")
LATE_S = 0.05
ROUND = 4  # times that the kernel asks for the interpreter until a heartbeat has left
KINDS = ("Sleeper", "Holder", "Spinner", "OwnHolder", "OwnSpinner")
BEAT_S = limits.GROUP_HEARTBEAT_MS / 1000
ACK_S = limits.LINK_ACK_DELAY_MS / 1000


def late(found: dict[str, Any]) -> list[str]:
    """What the kernel did later than LATE_S after it was due, and how late that was."""
    due = [
        ("a heartbeat", one + BEAT_S, next_) for one, next_ in itertools.pairwise(found["beats"])
    ]
    due += [("an acknowledgement", came + ACK_S, at) for came, at in found["acks"]]
    said = []
    for what, due_at, at in due:
        excused = ROUND * max(
            [woken - asked for asked, woken in found["control"] if woken > due_at and asked < at],
            default=0.0,
        )
        if at - due_at > LATE_S + excused:
            said.append(f"{what} {at - due_at:.3f} s, others {excused / ROUND:.3f} s")
    return said


def story(lab: Lab, kind: str, seconds: float, look_s: float) -> tuple[list[str], list[Any]]:
    """What was late while an action of n2 was busy for so long, and what the trace tells."""
    for name in ("n1", "n2", "n3"):
        lab.start(name)
    until("all meet", lambda: lab.names_up("n1") == {"n1", "n2", "n3"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        for name, actor, node in (("source", "Source", "n1"), ("probe", "Probe", "n2")):
            m.declare_factory(actor, ACTORS)
            m.deploy_actor(actor, name, node)
        m.declare_factory(kind, ACTORS)
        m.deploy_actor(kind, "busy", "n2")
        m.react_interaction("probe", "source", "number")
        m.ask("probe", "begin", look_s)
        m.tell("source", "run", int(100 * seconds))
        m.tell("busy", "work", time.monotonic() + seconds)
        time.sleep(seconds)  # what the test is about
        found = m.ask("probe", "found", timeout=60)
    said = late(found)
    assert found["count"] > 10 * seconds, ("nearly nothing came to be acknowledged", said)
    assert len(found["beats"]) > seconds, ("nearly no heartbeat left", said)
    return said, read_logs(lab.home / "trace")


def check(lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str, seconds: float) -> None:
    monkeypatch.setenv(VARIABLE, str(lab.home / "trace"))
    found, lines = story(lab, kind, seconds, limits.KEEPER_LOOK_S)
    assert found == []
    assert [line for line in lines if line["k"] == "suspect"] == []
    views = {str(line["v"]) for line in lines if line["k"] == "view" and len(line["members"]) == 3}
    assert len(views) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_is_in_time_whatever_an_action_does(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    check(lab, monkeypatch, kind, 6.0)


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_is_in_time_for_a_minute_of_each(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    check(lab, monkeypatch, kind, 60.0)


@pytest.mark.slow
def test_a_keeper_that_looks_too_rarely_would_be_found(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(lab.home / "trace"))
    found, _ = story(lab, "Sleeper", 6.0, 2.0)
    assert any("a heartbeat" in words for words in found), found
