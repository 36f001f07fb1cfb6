"""What a node keeps for one client with a session: what waits for it, and what it waits for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups import effects, membership_messages
from zactor.kernel.groups.membership_messages import News, SessionNames
from zactor.kernel.messages.client_sessions import MembershipMessage, Parcel
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.operations import Request
from zactor.kernel.sessions.session import Session, SessionUser
from zactor.kernel.transport.door_clients import Client

log = structlog.get_logger()


class SessionKeeper(Protocol):
    """Who looks after all clients of a node."""

    @property
    def wording(self) -> SessionNames:
        """The words that clients read."""
        ...

    def has_news(self, client_session: ClientSession) -> None:
        """Something waits for a client."""

    def work(self, client_session: ClientSession) -> None:
        """Do what the client has asked, as far as there is room."""

    def watch_progress(self, client_session: ClientSession) -> None:
        """A client has something to take that it may never take."""

    def expel_soon(self, client_session: ClientSession, why: str) -> None:
        """A client holds up others."""


class ClientSession(SessionUser):
    """One client with its session; called in the order of delivery."""

    def __init__(self, keeper: SessionKeeper, client: Client) -> None:
        """`session` comes when it is open."""
        self.client = client
        self.unwatch: Callable[[], None] = lambda: None  # watch the client no more
        self.session: Session | None = None
        self.is_over = False  # the client has closed it, or has left
        self.ended = ""  # why the node has closed it
        self.polls: deque[tuple[int, int]] = deque()  # number and room of each ReceiveGroup
        self.requests: deque[Request] = deque()  # the first is being done
        self.done = 0  # messages of the first request that are taken over
        self.waiting: deque[News] = deque()
        self.changes = 0  # membership messages among `waiting`
        self.owed = 0  # regular messages that the program hasn't taken
        self.given = 0  # of these, those that the client has
        self.behind_s: float | None = None  # loop time since which it is seen to be behind
        self.moved_s = 0.0  # loop time at which it took something last, or had nothing to take
        self.is_due = False
        self._keeper = keeper

    takes_parcels = True

    def go_on(self) -> None:
        """There may be room again for what the client sends."""
        self._keeper.work(self)

    def on_message(self, message: GroupData, transitional: bool) -> None:
        """Keep a message for the client."""
        self.owed += 1
        if self.owed == 1:
            self._keeper.watch_progress(self)
        self.waiting.append(self._keeper.wording.regular(message, transitional))
        self._keeper.has_news(self)

    def on_parcel(self, parcel: GroupData, transitional: bool) -> None:
        """Keep a parcel for the client, unopened."""
        if not self.owed:
            self._keeper.watch_progress(self)
        self.owed += parcel.count
        self.waiting.append(self._keeper.wording.parcel(parcel, transitional))
        self._keeper.has_news(self)

    def on_group_view(self, change: effects.GroupView) -> None:
        """Keep a new membership for the client."""
        self._keep(self._keeper.wording.view(change))

    def on_group_transitional(self, change: effects.GroupTransitional) -> None:
        """Keep the signal for the client."""
        self._keep(membership_messages.transitional(change))

    def on_group_left(self, group: str) -> None:
        """Keep for the client that it is out of a group."""
        assert self.session is not None, "only who is open leaves"
        self._keep(membership_messages.left(group, self.session.private_group))

    def _keep(self, change: MembershipMessage) -> None:
        self.waiting.append(change)
        self.changes += 1
        if self.changes > limits.GROUP_CHANGES_MAX:
            self._keeper.expel_soon(
                self, f"has not taken {limits.GROUP_CHANGES_MAX} changes of its groups"
            )
        self._keeper.has_news(self)

    def _open(self, parcel: Parcel) -> None:
        """Put the messages of a parcel in front, for a client that has room for some of them."""
        try:
            self.waiting.extendleft(reversed(membership_messages.regular_messages(parcel)))
        except RemoteProtocolError as error:  # a bug at its sender's node, which has looked at it
            log.error("group_parcel_malformed", node=parcel.origin, why=str(error))
            assert self.session is not None, "only who is open gets something"
            self.owed -= parcel.count
            self.session.consumed(parcel.count)

    def take(self, room: int) -> list[News]:
        """Return what comes next for the client: at most `room`, and about BATCH_BYTES_MAX."""
        batch: list[News] = []
        count = size = 0
        while self.waiting and count < room and size < limits.BATCH_BYTES_MAX:
            news = self.waiting.popleft()
            weight = news.count if type(news) is Parcel else 1
            if count + weight > room:
                if batch:
                    self.waiting.appendleft(news)
                    break
                assert type(news) is Parcel, "a single message has room"
                self._open(news)
                continue
            count += weight
            size += membership_messages.size_of(news)
            if isinstance(news, MembershipMessage):
                self.changes -= 1
            else:
                self.given += weight
            batch.append(news)
        return batch
