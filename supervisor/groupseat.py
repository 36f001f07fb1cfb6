"""What a node keeps for one client with a session: what waits for it, and what it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from zactor.kernel import config
from zactor.kernel.protocol import effects, memberships, messages
from zactor.kernel.protocol.service import Service
from zactor.kernel.transport.groupsession import Session
from zactor.kernel.transport.seam import Client
from zactor.supervisor import groupnews
from zactor.supervisor.groupnews import News

if TYPE_CHECKING:
    from zactor.supervisor.groupdesk import GroupDesk


class Seat:
    """One client with its session. The engine calls it (SessionUser), in the order of delivery."""

    def __init__(self, desk: GroupDesk, client: Client) -> None:
        """`session` comes when it is open."""
        self.client = client
        self.unwatch: Callable[[], None] = lambda: None  # look no more whether the client is there
        self.session: Session | None = None
        self.is_gone = False  # the client has closed it, or went
        self.ended = ""  # why the node has closed it
        self.polls: deque[tuple[int, int]] = deque()  # number and room of each ReceiveGroup
        self.requests: deque[messages.Request] = deque()  # the first is being done
        self.done = 0  # messages of the first request that are taken over
        self.waiting: deque[News] = deque()
        self.changes = 0  # membership messages among `waiting`
        self.owed = 0  # regular messages that the program hasn't taken
        self.given = 0  # of these, those that the client has
        self.moved_s = 0.0  # loop time at which it took something last, or had nothing to take
        self.is_due = False
        self._desk = desk

    def on_message(self, message: messages.GroupData, transitional: bool) -> None:
        """Keep a message for the client."""
        assert self.session is not None, "only who is open gets something"
        is_far_behind = (
            self.owed >= config.GROUP_BACKLOG_MESSAGES
            or self.session.owed_bytes > config.GROUP_BACKLOG_BYTES
        )
        if is_far_behind and message.service is Service.UNRELIABLE:
            self.session.consumed(1)  # no credit slows these: dropped, as they may be
            return
        self.owed += 1
        if self.owed == 1:
            self._desk.watch_progress(self)
        self.waiting.append(self._desk.wording.regular(message, transitional))
        self._desk.note_news(self)

    def on_group_view(self, change: effects.GroupView) -> None:
        """Keep a new membership for the client."""
        self._keep(self._desk.wording.view(change))

    def on_group_transitional(self, change: effects.GroupTransitional) -> None:
        """Keep the signal for the client."""
        self._keep(memberships.transitional(change))

    def on_group_left(self, group: str) -> None:
        """Keep for the client that it is out of a group."""
        assert self.session is not None, "only who is open leaves"
        self._keep(memberships.left(group, self.session.private_group))

    def _keep(self, change: messages.MembershipMessage) -> None:
        self.waiting.append(change)
        self.changes += 1
        if self.changes > config.GROUP_CHANGES_MAX:
            self._desk.expel_soon(
                self, f"has not taken {config.GROUP_CHANGES_MAX} changes of its groups"
            )
        self._desk.note_news(self)

    def take(self, room: int) -> list[News]:
        """Return what comes next for the client: at most `room`, and about BATCH_BYTES_MAX."""
        batch: list[News] = []
        size = 0
        while self.waiting and len(batch) < room and size < config.BATCH_BYTES_MAX:
            news = self.waiting.popleft()
            size += groupnews.size_of(news)
            if type(news) is messages.RegularMessage:
                self.given += 1
            else:
                self.changes -= 1
            batch.append(news)
        return batch
