"""Turns: who has something to send to groups, and waits for room or for a reader that is behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from zactor.kernel.errors import MailboxFull
from zactor.kernel.messages.service import Service
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.sessions.session import Session


class Sender(Protocol):
    """Who sends."""

    def go_on(self) -> None:
        """Try again to send what waits, and wait again if there is no room."""


class Turns:
    """Kernel's loop only."""

    def __init__(
        self, host: GroupHost, spawn: Callable[[Coroutine[Any, Any, object]], None]
    ) -> None:
        self._host = host
        self._spawn = spawn
        self._stalled: dict[Sender, None] = {}  # no room at all: in the order of their turns
        self._held: dict[Sender, None] = {}  # the next message is for a full group
        self._is_resuming = False
        host.on_credit(self._let_go)

    def submit(
        self,
        sender: Sender,
        session: Session,
        service: Service,
        groups: tuple[str, ...],
        payload: bytes,
        discard: bool,
        mess_type: int = 0,
        count: int = 1,
    ) -> bool:
        """Send one message, or a parcel; False: `sender.go_on` is called when to try again.

        Raises:
            LocalProtocolError: as Session.submit.
        """
        if service is not Service.UNRELIABLE and self._host.is_full(groups):
            self._held[sender] = None
            return False
        if not self._host.paused:
            try:
                session.submit(service, groups, payload, discard, mess_type, count)
            except MailboxFull:
                pass  # very many in one turn: it will say soon that it is paused
            else:
                return True
        self._wait(sender)
        return False

    @property
    def held(self) -> Collection[Sender]:
        """Those whose next message is for a full group."""
        return self._held.keys()

    @property
    def stalled(self) -> Collection[Sender]:
        """Those for whom there is no room at all."""
        return self._stalled.keys()

    def forget(self, sender: Sender) -> None:
        """It has nothing to send any more."""
        self._stalled.pop(sender, None)
        self._held.pop(sender, None)

    def _wait(self, sender: Sender) -> None:
        self._stalled[sender] = None
        if not self._is_resuming:
            self._is_resuming = True
            self._spawn(self._resume())

    def _let_go(self) -> None:
        """Some group may be full no more: who was held tries again."""
        held, self._held = self._held, {}
        for sender in held:
            self._wait(sender)

    async def _resume(self) -> None:
        """Let those who wait go on, one after the other: who stalls again stands last."""
        try:
            while self._stalled:
                await asyncio.sleep(0)  # what was submitted leaves at the end of a turn
                await self._host.room()
                if self._stalled:  # or who waited has left meanwhile
                    sender = next(iter(self._stalled))
                    del self._stalled[sender]
                    sender.go_on()
        finally:
            self._is_resuming = False
