"""BlockingMaster: the Master for programs without an event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from zactor.client.connection import Connection
from zactor.client.master import Master, Row
from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.refs import make_ref
from zactor.kernel.homes import at_home

P = ParamSpec("P")
T = TypeVar("T")


def finish(coroutine: Coroutine[object, None, T]) -> T:
    """Return what a coroutine returns that never suspends, as a blocking Master's don't."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    coroutine.close()
    raise AssertionError("a blocking master's coroutine suspended")


def _blocking(
    method: Callable[Concatenate[Master, P], Coroutine[object, None, T]],
) -> Callable[Concatenate[BlockingMaster, P], T]:
    def call(self: BlockingMaster, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return finish(method(self.master, *args, **kwargs))

    return functools.update_wrapper(call, method)


@at_home
class BlockingMaster:
    """`Master` for programs without an event loop: the same methods, each returns when it is done.

    Threads: any, except an event loop's, which would stand still meanwhile.
    """

    def __init__(self, connection: Connection, *, timeout: float | None = None) -> None:
        """As `Master`."""
        self.master = Master(connection, timeout=timeout, blocking=True)
        self.connection = connection

    declare_node = _blocking(Master.declare_node)
    declare_factory = _blocking(Master.declare_factory)
    destroy_actor = _blocking(Master.destroy_actor)
    react_interaction = _blocking(Master.react_interaction)
    remove_interaction = _blocking(Master.remove_interaction)
    send_signal = _blocking(Master.send_signal)
    tell = _blocking(Master.tell)
    ask = _blocking(Master.ask)
    query = _blocking(Master.query)
    wait = _blocking(Master.wait)
    look = _blocking(Master.look)
    facts = _blocking(Master.facts)
    why = _blocking(Master.why)
    nodes = _blocking(Master.nodes)
    actors = _blocking(Master.actors)
    wires = _blocking(Master.wires)
    factories = _blocking(Master.factories)
    status = _blocking(Master.status)
    dead_letters = _blocking(Master.dead_letters)
    doctor = _blocking(Master.doctor)
    log = _blocking(Master.log)

    def deploy_actor(
        self, type: str | type[Actor], name: str, node: str, /, **arguments: object
    ) -> Any:
        """As `Master.deploy_actor`; returns a ref as `ref` does."""
        return finish(self.master.deploy_actor(type, name, node, **arguments))

    def ref(self, name: str, of: type[Actor] | None = None) -> Any:
        """As `Master.ref`, but `ref.inc(5)` waits and returns what the action returns."""
        return make_ref(name, self.master.gateway, of)

    def events(self, follow: bool = False) -> Iterator[Row]:
        """As `Master.events`, for a plain `for`."""
        stream = self.master.events(follow)

        async def step() -> Row:
            return await anext(stream)

        while True:
            try:
                event = finish(step())
            except StopAsyncIteration:
                return
            yield event

    declareNode = declarePhysicalNode = declare_physical_node = declare_node
    declareFactory = declare_factory
    deployActor = deploy_actor
    destroyActor = destroy_actor
    remote_react_interaction = remoteReactInteraction = reactInteraction = react_interaction
    removeInteraction = remove_interaction
    sendSignal = send_signal
    deadLetters = dead_letters
