"""Runtimes on real threads, joined by ports that pack and encode, and conditions to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from deadlines import join

from zactor import Actor
from zactor.kernel.errors import MailboxFull
from zactor.kernel.ids import NodeId
from zactor.kernel.limits import BATCH_ITEMS_MAX
from zactor.kernel.messages.frames import LinkFrame
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.directory import Place
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.wire.codec import decode_inbound, encode_frame
from zactor.kernel.wire.item_size import is_credited
from zactor.kernel.wire.signal_parcels import pack

PATIENCE_S = 30.0


def eventually(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until the condition holds and return what it gave."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"never: {what or condition}"
        time.sleep(0.001)
    return found


class LinkPort:
    """The way to another runtime: every item is encoded, and decoded in a thread of its own."""

    def __init__(self, to: World, back: Callable[[], LinkPort]) -> None:
        self.node = to.node
        self.congested = False
        self.full = False
        self.dead = False
        self.consumed_count = 0
        self.items: list[Any] = []  # everything that was put, as it was put
        self._to = to
        self._back = back
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def put(self, item: Any) -> None:
        if self.full and is_credited(item):
            raise MailboxFull(f"the link to {self.node} is full")
        self.items.append(item)
        if not self.dead:
            self._queue.put(item)

    def consumed(self, count: int) -> None:
        self.consumed_count += count

    def close(self) -> None:
        self._queue.put(None)
        join(self._thread)

    def _run(self) -> None:
        for first in iter(self._queue.get, None):  # close() puts it
            items = [first]
            while not self._queue.empty() and len(items) < BATCH_ITEMS_MAX:
                items.append(self._queue.get_nowait())
            is_over = items[-1] is None
            self._carry([item for item in items if item is not None])
            if is_over:
                return

    def _carry(self, items: list[Any]) -> None:
        frame = LinkFrame(
            source=1,
            target=1,
            first=1,
            received=0,
            granted=0,
            probe=False,
            again=False,
            items=tuple(pack(items)),
        )
        # Bytes as a socket gives them: the sender's memory is not the receiver's.
        arrived = decode_inbound([bytes(part) for part in encode_frame(frame)])
        assert isinstance(arrived, LinkFrame)
        self._to.runtime.remoting.deliver(self._back(), arrived.items)


class World:
    """One runtime with what it reported."""

    def __init__(self, name: str, *, policy: str = "pickle", traced: bool = False) -> None:
        self.node = NodeId(name, 1)
        self.dead: list[DeadLetter] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended: list[tuple[str, str]] = []
        self.ports: dict[str, LinkPort] = {}
        self.runtime = Runtime(
            node=self.node,
            policy=policy,
            dead_letter=self.dead.append,
            trace=(lambda kind, fields: self.events.append((kind, fields))) if traced else None,
            ended=lambda blueprint, reason: self.ended.append((blueprint.name, reason)),
        )
        self.runtime.start()
        self._uids = iter(range(1000 * (ord(name[-1]) % 50) + 1, 10**9))

    def spawn(self, cls: type[Any], name: str, *args: Any, **kwargs: Any) -> Any:
        """Make an actor and return a Ref of it."""
        self.begin(cls, name, *args, **kwargs).result(PATIENCE_S)
        return self.runtime.ref(name)

    def begin(self, cls: type[Any], name: str, *args: Any, **kwargs: Any) -> Any:
        uid = next(self._uids)
        return self.runtime.spawn(blueprint_of(cls, name=name, uid=uid, args=args, kwargs=kwargs))

    def uid(self, name: str) -> int:
        return self.runtime.directory.places[name].uid

    def stop(self, name: str, drain_s: float | None = None, reason: str = "destroyed") -> Any:
        return self.runtime.stop(self.uid(name), reason, drain_s)

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.runtime.look() if row["name"] == name)

    def close(self) -> None:
        self.runtime.close()
        for port in self.ports.values():
            port.close()


class Worlds:
    """Makes them and clears them away."""

    def __init__(self) -> None:
        self.all: list[World] = []

    def __call__(self, name: str = "n1", **options: Any) -> World:
        world = World(name, **options)
        self.all.append(world)
        return world

    def pair(self, **options: Any) -> tuple[World, World]:
        """Two, joined."""
        one, other = self("n1", **options), self("n2", **options)
        self.join(one, other)
        return one, other

    def join(self, one: World, other: World) -> None:
        one.ports[other.node.name] = LinkPort(other, lambda: other.ports[one.node.name])
        other.ports[one.node.name] = LinkPort(one, lambda: one.ports[other.node.name])

    def introduce(self, host: World, name: str, *guests: World) -> None:
        """Let others know where an actor is."""
        for guest in guests:
            port = guest.ports[host.node.name]
            place = Place(name=name, uid=host.uid(name), type="t", port=port)
            guest.runtime.place(name, place)


@pytest.fixture
def worlds() -> Iterator[Worlds]:
    before = set(threading.enumerate())
    made = Worlds()
    yield made
    for world in made.all:
        world.close()
    left = [thread for thread in threading.enumerate() if thread not in before]
    assert not left, f"threads left behind: {left}"


@pytest.fixture
def until() -> Callable[..., Any]:
    return eventually


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds()


@pytest.fixture(params=["shared", "thread"])
def make(request: pytest.FixtureRequest) -> Any:
    """Gives a class its dispatcher."""

    def on(cls: type[Actor]) -> Any:
        class Derived(cls, dispatcher=request.param):  # type: ignore[misc,valid-type,call-arg]
            pass

        Derived.__name__ = cls.__name__
        return Derived

    return on
