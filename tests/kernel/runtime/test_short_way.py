"""What arrives is read by the thread of the actors it is for, and nothing of it is overlooked."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S
from kernel_house import Held, House, who

from zactor.kernel.messages.actors import Signal
from zactor.kernel.messages.frames import Inbound, LinkFrame
from zactor.kernel.transport import sockets
from zactor.kernel.transport.door import Door
from zactor.kernel.transport.keys import cluster_keys
from zactor.kernel.transport.socket_context import Address, SocketContext
from zactor.kernel.wire.codec import encode_frame

Until = Callable[..., Any]
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="nothing")


class Visited(House):
    """A house with a door; what comes is told to an actor that takes its time."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.keys = cluster_keys(home)
        self.came = threading.Semaphore(0)
        self.afters = 0
        self.by: set[str] = set()
        self.do(self._open())
        self.dealer = sockets.connect_door(
            self.bound.context, self.door.endpoint, self.keys.door, self.keys.server.public
        )

    async def _open(self) -> None:
        self.bound = SocketContext()
        self.bound.authenticator.admit(self.keys.door.public, "door")
        self.door = Door(
            self.bound,
            Address(),
            server=self.keys.server,
            take=self._take,
            after=self._after,
            short=self.baton,
        )

    async def _shut(self) -> None:
        self.bound.still()
        self.door.close()
        self.bound.close()

    def _take(self, routing_id: bytes, key: str, inbound: Inbound, host: str) -> None:
        self.by.add(threading.current_thread().name)
        self.shared.post(lambda: time.sleep(0.0002))
        self.came.release()

    def _after(self) -> None:
        self.afters += 1

    def send(self, number: int) -> None:
        signal = Signal((7,), 1, number, "inc", b"x")
        frame = LinkFrame(
            source=1,
            target=1,
            first=number,
            received=0,
            granted=0,
            probe=False,
            again=False,
            items=(signal,),
        )
        self.dealer.send_multipart(encode_frame(frame))

    def close(self) -> None:
        self.dealer.close(linger=0)
        self.do(self._shut())
        super().close()


@pytest.fixture
def house(tmp_path: Path, until: Until) -> Iterator[Visited]:
    house = Visited(tmp_path / "home")
    until(house.is_guest)
    yield house
    house.close()


def test_what_comes_beside_a_lone_message_is_read_too(house: Visited) -> None:
    for number in range(1_000):
        house.send(2 * number + 1)
        time.sleep(number % 10 * 0.00005)  # the next is there before, at, or after the first look
        house.send(2 * number + 2)
        # Nothing else comes: what is overlooked stays so.
        assert house.came.acquire(timeout=DEADLINE_S)
        assert house.came.acquire(timeout=DEADLINE_S), number
    assert "zactor-actors" in house.by


def test_after_every_reading_the_rest_of_it_is_done(house: Visited, until: Until) -> None:
    for number in range(50):
        before = house.afters
        house.send(number + 1)
        until(lambda before=before: house.afters > before)


def test_the_keeper_reads_while_an_action_blocks(house: Visited, until: Until) -> None:
    house.send(1)
    assert house.came.acquire(timeout=DEADLINE_S)
    held = Held().begin(house.shared)
    until(lambda: not house.is_guest())
    house.by.clear()
    for number in range(2, 12):
        house.send(number)
        assert house.came.acquire(timeout=DEADLINE_S)
    assert house.by == {"keeper"}
    held.end()
    until(house.is_guest)
    house.send(12)
    assert house.came.acquire(timeout=DEADLINE_S)


def test_a_call_by_the_short_way_is_within_the_kernels_loop_and_inherits_nothing(
    house: Visited, until: Until
) -> None:
    async def look() -> None:
        found.append(VARIABLE.get())

    found: list[object] = []

    def call() -> None:
        found.append(house.baton.express(int))  # within another: no
        found.append(VARIABLE.get())
        house.kernel.create_task(look())

    def action() -> None:
        VARIABLE.set("an actor's")
        found.append(house.baton.express(call))

    house.shared.post(action)
    until(lambda: len(found) == 4)
    assert found == [False, "nothing", True, "nothing"]


def test_other_threads_have_no_short_way(house: Visited) -> None:
    assert not house.baton.express(int)
    held = Held().begin(house.shared)
    assert not house.baton.express(int)
    held.end()


def test_what_fails_on_the_short_way_is_reported_and_ends_nothing(
    house: Visited, until: Until
) -> None:
    reported: list[object] = []
    house.kernel.set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def fail() -> None:
        raise ValueError("of a test")

    house.shared.post(lambda: house.baton.express(fail))
    until(lambda: reported)
    assert house.do(who()) == "zactor-actors"
