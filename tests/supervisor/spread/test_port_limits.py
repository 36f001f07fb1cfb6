"""Limits of the port, met by real programs."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from raw_spread import AGREED, JOIN, SAFE, RawSpread, entered, request
from spread_world import solo_port

from zactor.kernel import limits


def test_one_program_too_many_is_refused_until_one_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SPREAD_CLIENTS_MAX", 5)
    with solo_port() as at, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(entered(at, f"c{number}")) for number in range(5)]
        late = RawSpread(at)
        assert late.read(2) == b"\xfd", "REJECT_QUOTA, and the end"
        late.close()
        clients[0].close()
        end = time.monotonic() + 20
        while True:
            late = RawSpread(at)
            late.hello("late")
            if late.read(1) == b"\5":
                break
            late.close()
            assert time.monotonic() < end, "there is room again"
        late.close()
        clients[1].send(SAFE, clients[1].own, data=b"x")
        assert clients[1].data().data == b"x"


def test_requests_that_wait_have_a_limit_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many who send to one that doesn't read: then each may keep a share only, and waits."""
    monkeypatch.setattr(limits, "SPREAD_REQUEST_ALL_BYTES", 4 << 20)
    monkeypatch.setattr(limits, "SPREAD_REQUEST_SHARE_BYTES", 1 << 18)
    count, each = 4, 200
    with solo_port() as at, entered(at, "sleeper") as sleeper, contextlib.ExitStack() as stack:
        sleeper.send(JOIN, "g")
        sleeper.membership()
        senders = [stack.enter_context(entered(at, f"s{number}")) for number in range(count)]
        left = [each * 100_000] * count

        def send(number: int) -> None:
            whole = request(AGREED, senders[number].own, ("g",), bytes(100_000)) * each
            for at in range(0, len(whole), 65_536):
                senders[number].socket.sendall(whole[at : at + 65_536])
                left[number] = max(0, len(whole) - at - 65_536)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        still, before = 0, -1
        while still < 10:  # until nobody gets on any more
            time.sleep(0.05)
            still, before = (still + 1, before) if sum(left) == before else (0, sum(left))
        # What is on its way here: the engine's queues and windows, sockets, and what waits.
        assert all(part > 0 for part in left), "each of them has to wait"
        with entered(at, "other") as other:
            other.send(SAFE, other.own, data=b"served")
            assert other.data().data == b"served"
        for _ in range(count * each):
            assert len(sleeper.data().data) == 100_000
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
