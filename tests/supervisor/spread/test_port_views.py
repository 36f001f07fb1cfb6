"""What a view owes to its members, as a daemon that stands still brings it to light."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_world import DEADLINE_S, DaemonWorld, all_in, daemon_world
from raw_spread import AGREED, FIFO, SAFE, Frame, RawSpread

pytestmark = pytest.mark.slow

CAUSAL, TRANSITION = 8, 0x2000
NAMES = ("d1", "d2", "d3")


class StandstillWorld:
    """Three daemons of one machine group; the one that stands still isn't their leader."""

    def __init__(self, world: DaemonWorld) -> None:
        self.world = world
        first, *_ = self._rows()
        self.still = next(name for name in reversed(NAMES) if name != first["leader"])
        self.others = [name for name in NAMES if name != self.still]

    def _rows(self) -> list[dict[str, object]]:
        """What the daemons say, as soon as they all see each other."""
        end = time.monotonic() + DEADLINE_S
        while True:
            done = self.world.run("spmonitor", "status", "--json")
            if done.returncode == 0:
                rows: list[dict[str, object]] = json.loads(done.stdout)
                if all(row.get("members") == list(NAMES) for row in rows):
                    return rows
            assert time.monotonic() < end, done

    @contextlib.contextmanager
    def standing_still(self) -> Iterator[None]:
        """One daemon does nothing for the time of the block, and nobody knows yet."""
        pid = self.world.processes[self.still].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            end = time.monotonic() + DEADLINE_S
            while "State:\tT" not in Path(f"/proc/{pid}/status").read_text():
                assert time.monotonic() < end
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def client(self, daemon: str, name: str) -> RawSpread:
        return self.world.client(daemon, name)


@pytest.fixture
def views(tmp_path: Path) -> Iterator[StandstillWorld]:
    with daemon_world(tmp_path) as world:
        world.write(NAMES)
        world.start(*NAMES)
        yield StandstillWorld(world)


def until_network(client: RawSpread) -> list[Frame]:
    """Return what comes up to the membership that the network causes, and that."""
    found = [client.frame()]
    while not found[-1].kind & 0x1000:
        found.append(client.frame())
    assert found[-1].cause == "network"
    return found


def test_safe_holds_back_what_is_ordered_behind_it_until_all_have_it(
    views: StandstillWorld,
) -> None:
    """One daemon can't have it: so nothing comes before that one is out of the view."""
    here, _ = views.others
    a, b = views.client(here, "a"), views.client(here, "b")
    away = views.client(views.still, "away")
    all_in((a, b, away), "g")
    a.send(AGREED, "g", data=b"before")
    for client in (a, b, away):
        assert client.frame().data == b"before"
    with views.standing_still():
        a.send(SAFE, "g", data=b"safe")
        for service in (AGREED, CAUSAL, FIFO, SAFE):
            a.send(service, "g", data=b"behind %d" % service)
        for client in (a, b):
            first = client.frame()
            assert (first.kind, first.name) == (TRANSITION, "g"), "it wasn't stable before"
            seen = [first]
            while len(seen) < 7:
                seen.append(client.frame())
            said = [frame.data for frame in seen if not frame.kind & 0x3000]
            assert said == [
                b"safe",
                *(b"behind %d" % kind for kind in (AGREED, CAUSAL, FIFO, SAFE)),
            ]


def test_between_the_signal_and_the_view_comes_what_the_old_one_owes_alike_for_all(
    views: StandstillWorld,
) -> None:
    """SAFE that the lost daemon hasn't got; those who stay together see one sequence."""
    one, two = views.others
    stay = [views.client(one, "a"), views.client(one, "b"), views.client(two, "c")]
    away = views.client(views.still, "away")
    all_in((*stay, away), "g")
    with views.standing_still():
        for number in range(50):
            for client in stay:
                client.send(SAFE, "g", data=f"{client.own} {number}".encode())
        seen = [until_network(client) for client in stay]
    assert seen[0] == seen[1]
    assert [frame[:4] for frame in seen[0]] == [frame[:4] for frame in seen[2]]
    assert seen[0][0].kind == TRANSITION, "none of them was SAFE before"
    owed = seen[0][1:-1]
    assert owed
    assert all(frame.kind == SAFE for frame in owed)
    view = seen[0][-1]
    assert view.groups == tuple(sorted(client.own for client in stay))
    rest = [stay[0].frame() for _ in range(150 - len(owed))]
    for client in stay:
        mine = [frame.data for frame in (*owed, *rest) if frame.name == client.own]
        assert mine == [f"{client.own} {number}".encode() for number in range(50)]


def test_what_is_sent_during_a_change_comes_in_the_next_view_and_is_not_lost(
    views: StandstillWorld,
) -> None:
    here, there = views.others
    a, c = views.client(here, "a"), views.client(there, "c")
    away = views.client(views.still, "away")
    all_in((a, c, away), "g")
    with views.standing_still():
        a.send(SAFE, "g", data=b"0")  # which can't be delivered: so a change is near
        assert a.frame().kind == TRANSITION
        # The old view has ended here, and the new one hasn't begun.
        count = 200
        for number in range(1, count):
            a.send((AGREED, SAFE, FIFO)[number % 3], "g", data=b"%d" % number)
        for client in (a, c):
            frames = until_network(client)
            before = [frame.data for frame in frames if not frame.kind & 0x3000]
            after = [client.frame().data for _ in range(count - len(before))]
            assert before + after == [b"%d" % number for number in range(count)]
            assert after, "what was sent during the change"
