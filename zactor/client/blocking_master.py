"""BlockingMaster: the Master for programs without an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, overload

from zactor.client.blocking import Blocking, blocking, finish, iterate
from zactor.client.connection import Connection
from zactor.client.event_stream import Seen
from zactor.client.master import Master, Row
from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.refs import make_ref
from zactor.kernel.homes import at_home

P = ParamSpec("P")


@at_home
class BlockingMaster(Blocking[Master]):
    """`Master` for programs without an event loop: the same methods, each returns when it is done.

    Threads: any, except an event loop's, which would stand still meanwhile.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeout: float | None = None,
        payload: str | None = None,
    ) -> None:
        """As `Master`."""
        super().__init__(Master(connection, timeout=timeout, blocking=True, payload=payload))
        self.connection = connection

    declare_node = blocking(Master.declare_node)
    forget = blocking(Master.forget)
    recover = blocking(Master.recover)
    restore = blocking(Master.restore)
    declare_factory = blocking(Master.declare_factory)
    undeclare_factory = blocking(Master.undeclare_factory)
    upgrade_actor = blocking(Master.upgrade_actor)
    move_actor = blocking(Master.move_actor)
    destroy_actor = blocking(Master.destroy_actor)
    react_interaction = blocking(Master.react_interaction)
    remove_interaction = blocking(Master.remove_interaction)
    send_signal = blocking(Master.send_signal)
    tell = blocking(Master.tell)
    ask = blocking(Master.ask)
    deploy_with = blocking(Master.deploy_with)
    deploy_many = blocking(Master.deploy_many)
    ship = blocking(Master.ship)
    plan = blocking(Master.plan)
    apply = blocking(Master.apply)
    undo = blocking(Master.undo)
    drain = blocking(Master.drain)
    resume = blocking(Master.resume)
    export = blocking(Master.export)
    query = blocking(Master.query)
    wait = blocking(Master.wait)
    look = blocking(Master.look)
    watch = blocking(Master.watch)
    facts = blocking(Master.facts)
    why = blocking(Master.why)
    nodes = blocking(Master.nodes)
    actors = blocking(Master.actors)
    describe = blocking(Master.describe)
    wires = blocking(Master.wires)
    factories = blocking(Master.factories)
    status = blocking(Master.status)
    dead_letters = blocking(Master.dead_letters)
    failures = blocking(Master.failures)
    doctor = blocking(Master.doctor)
    log = blocking(Master.log)

    @overload
    def deploy_actor(
        self,
        type: Callable[P, Actor],
        name: str,
        node: str,
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Any: ...
    @overload
    def deploy_actor(self, type: str, name: str, node: str, /, **arguments: object) -> Any: ...
    def deploy_actor(
        self, type: Any, name: str, node: str, /, *args: object, **arguments: object
    ) -> Any:
        """As `Master.deploy_actor`; returns a ref as `ref` does."""
        return finish(self.awaiting.deploy_actor(type, name, node, *args, **arguments))

    def ref(self, name: str, of: type[Actor] | None = None) -> Any:
        """As `Master.ref`, but `ref.inc(5)` waits and returns what the action returns."""
        return make_ref(name, self.awaiting.gateway, of)

    def events(
        self,
        follow: bool = False,
        node: str = "",
        last: int | None = None,
        seen: Seen | None = None,
    ) -> Iterator[Row]:
        """As `Master.events`, for a plain `for`."""
        return iterate(self.awaiting.events(follow, node, last, seen))

    def output(self, node: str = "", actor: str = "", since: float = 0.0) -> list[Row]:
        """Return what actors said until now, as `Master.output` has it, of the nodes that answer.

        Threads: none that has an event loop.
        """
        rows, _ = asyncio.run(self.awaiting.output(node, actor, since).past())
        return rows

    declareNode = declarePhysicalNode = declare_physical_node = declare_node
    declareFactory = declare_factory
    undeclareFactory = undeclare_factory
    deployActor = deploy_actor
    upgradeActor, moveActor = upgrade_actor, move_actor
    destroyActor = destroy_actor
    remote_react_interaction = remoteReactInteraction = reactInteraction = react_interaction
    removeInteraction = remove_interaction
    sendSignal = send_signal
    deadLetters = dead_letters
