"""The queue by which the actors of a runtime use the groups of its node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from zactor.kernel.ids import NodeId
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.sessions.session_queue import SessionQueue
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer

Spawn = Callable[[Coroutine[Any, Any, object]], None]


def open_session_queue(runtime: Runtime, groups: GroupHost, hub: Hub, spawn: Spawn) -> SessionQueue:
    """Let the actors of `runtime` use `groups`; in the kernel's loop, once `groups` is open.

    What actors of one turn put goes over together, as what they send to other nodes. Signals in
    group order have their session before any other node is met.
    """
    loop = asyncio.get_running_loop()

    baton = runtime.shared.baton

    def post(call: Callable[[], None]) -> None:
        if baton is None or not baton.express(call):
            with suppress(RuntimeError):  # the loop is closed: this life is over
                loop.call_soon_threadsafe(call)

    def port_of(node: NodeId) -> Peer | None:
        peer = hub.peers.get(node.name)
        return peer if peer is not None and peer.node == node else None

    session_queue = runtime.open_groups(
        hub.me,
        host=lambda: groups,
        post=post,
        spawn=spawn,
        port_of=port_of,
        coalesce=runtime.shared.at_slice_end,
    )
    session_queue.turn()
    return session_queue
