"""The part of a Runtime that faces the group engine: members, and signals in group order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from zactor.kernel.errors import ActorError, ConfigError
from zactor.kernel.ids import NodeId
from zactor.kernel.protocol.messages import Signal, Undelivered
from zactor.kernel.runtime.life import Phase
from zactor.kernel.runtime.links import Links
from zactor.kernel.runtime.mailbox import Message, Port
from zactor.kernel.runtime.members import Member
from zactor.kernel.runtime.rooms import Rooms, at_once
from zactor.kernel.runtime.wires import Wires

if TYPE_CHECKING:
    from zactor.kernel.runtime.cell import Cell
    from zactor.kernel.transport.grouphost import GroupHost


class Grouped(Links):
    """See the module. Threads: any, but where it says the host's, that of the engine's shell."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rooms: Rooms | None = None  # None: no groups here
        self.wires: Wires | None = None
        self._woken: list[Cell] = []  # the host's thread: cells to wake after this round of it

    def open_groups(
        self,
        me: NodeId,
        *,
        host: Callable[[], GroupHost],
        post: Callable[[Callable[[], None]], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        port_of: Callable[[NodeId], Port | None],
        coalesce: Callable[[Callable[[], None]], None] = at_once,
    ) -> Rooms:
        """Let actors use groups, and signals go in group order.

        Args: as of Rooms; port_of as of Wires.
        """

        def attached() -> GroupHost:
            found = host()
            wires.attach(found)
            return found

        self._me = me
        self.rooms = Rooms(host=attached, post=post, spawn=spawn, coalesce=coalesce)
        self.wires = wires = Wires(self, self.rooms, me, port_of)
        return self.rooms

    # -- members -----------------------------------------------------------------------------
    def make_member(self, cell: Cell) -> Member:
        """Give an actor its session.

        Raises:
            ConfigError: there are no groups here.
            ActorError: it has stopped.
        """
        if self.rooms is None:
            raise ConfigError(f"{cell.name} can't use groups: this runtime has none")
        if cell.phase is Phase.DOWN:
            raise ActorError(f"{cell.name} has stopped: it can't use groups any more")
        cell.member = Member(cell, self.rooms, self._me)
        return cell.member

    def arrived(self, cell: Cell, message: Message) -> None:
        """Put into a mailbox what came for a member. The host's thread."""
        if cell.limit <= len(cell.mailbox):
            cell.admit(message, None)
            return
        cell.mailbox.append(message)
        if cell.idle:
            cell.idle = False
            self._wake_later(cell)

    def _wake_later(self, *cells: Cell) -> None:
        """Wake them when this round of deliveries is in: see Links, where a batch does that."""
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._wake)
        self._woken += cells

    def _wake(self) -> None:
        woken, self._woken = self._woken, []
        for cell in woken:
            cell.dispatcher.ready(cell)

    # -- signals in group order --------------------------------------------------------------
    def in_order(self) -> Wires:
        """What carries signals in group order.

        Raises:
            ConfigError: there are no groups here.
        """
        if self.wires is None:
            raise ConfigError("no signal can go in group order: this runtime has no groups")
        return self.wires

    def arrived_in_order(self, origin: Port, signal: Signal) -> None:
        """Put a signal into the mailboxes of its targets, none of them perhaps. The host's."""
        woken: list[Cell] = []
        self._signalled(origin, signal, (), woken)
        if woken:
            self._wake_later(*woken)

    def returned(self, item: Undelivered) -> None:
        """A signal of this node wasn't handled."""
        for uid in item.targets:
            self._dead_there(item.sender, uid, item.action, item.number, item.reason)
