"""Holding port: where messages to an actor wait while it moves to another node.

On each node it takes the place of the way to that actor. Who sends is muted, as by a full mailbox.
When the actor is somewhere again, all goes there in the order in which it came, and so does what
comes later by way of this port.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Arguments, Signal
from zactor.kernel.runtime.envelope import PeerPort
from zactor.kernel.wire.item_size import is_credited


class HeldItems(Protocol):
    """What becomes of items that were held. Threads: all by any. See Remoting."""

    def deliver(self, port: PeerPort, items: Sequence[object]) -> None:
        """They are for an actor of this node, or for who asked it."""
        ...

    def redirect(self, item: object, port: PeerPort) -> None:
        """The item is about to go to that node."""
        ...

    def peer_out_of_view(self, port: PeerPort, lost: Sequence[tuple[object, bool]]) -> None:
        """They can't go anywhere."""
        ...


class HoldingPort:
    """One. Threads: all by any."""

    def __init__(self, node: NodeId, items: HeldItems) -> None:
        """Args: node: that the actor leaves."""
        self.node = node
        self._fate = items
        self._lock = threading.RLock()
        self._items: deque[object] = deque()
        self._is_open = False
        self._to: PeerPort | None = None
        self._is_here = False

    @property
    def congested(self) -> bool:
        """See PeerPort."""
        return not self._is_open or (self._to is not None and self._to.congested)

    def put(self, item: Any) -> None:
        """See PeerPort."""
        with self._lock:
            if self._is_open:
                self._pass_on(item)
            elif len(self._items) >= limits.HELD_ITEMS_MAX and is_credited(item):
                raise MailboxFull(f"{limits.HELD_ITEMS_MAX} messages wait for an actor that moves")
            else:
                self._items.append(item)

    def consumed(self, count: int) -> None:
        """See PeerPort: nobody gave a credit."""

    def release(self, to: PeerPort | None, *, is_here: bool) -> None:
        """The actor is there, or here; or nowhere: then what waits is told so."""
        with self._lock:
            self._to, self._is_here = to, is_here
            while self._items:
                self._pass_on(self._items.popleft())
            self._is_open = True

    def _pass_on(self, item: object) -> None:
        if self._is_here:
            if isinstance(item, Signal) and isinstance(item.payload, msgspec.Raw):
                # Its frame would have had it decoded, with all others.
                arguments = msgspec.msgpack.decode(item.payload, type=Arguments)
                item = msgspec.structs.replace(item, payload=arguments)
            self._fate.deliver(self, [item])
            return
        if self._to is not None:
            self._fate.redirect(item, self._to)
            try:
                self._to.put(item)
            except MailboxFull:
                self._fate.peer_out_of_view(self._to, [(item, False)])
            return
        self._fate.peer_out_of_view(self, [(item, False)])
