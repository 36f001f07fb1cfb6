"""Credit of sessions: which readers are behind, here and elsewhere, and so which groups are full.

Apart from stability: what has arrived at a node is acknowledged whoever reads it, so a reader that
takes nothing holds up those who send to its groups and nobody else. Members of a view tell each
other which of their sessions are behind; whose groups that makes full each looks up in its own map,
which is everybody's, so a join or a leave needs no word. Who sends to a full group waits in front
of the engine, with its shell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.groups.effects import CreditGiven, Effect, Send
from zactor.kernel.groups.process_groups import ProcessGroups, private_group
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.validation import check_behind
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import BehindSessions, GroupPacket
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import SessionId, View

Routes = tuple[tuple[str, ...], ...]
"""Of each message of a packet the sessions of this node that it is for."""


class _Backlog:
    """What one session was given and hasn't got through."""

    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0  # bytes of payloads

    def exceeds(self, most: tuple[int, int]) -> bool:
        """Whether it is more than so many messages, or bytes."""
        return self.count > most[0] or self.size > most[1]


class SessionBacklogs:
    """What the sessions of this node haven't got through, and which of them are behind."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._of: dict[str, _Backlog] = {}
        self._all = _Backlog()
        self._is_crowded = False  # all together are too far behind: each may have a share only
        self._most = (settings.backlog_messages, settings.backlog_bytes)  # for each
        self.behind: frozenset[str] = frozenset()

    def deliver(
        self, packet: GroupPacket, sessions: Routes, is_open: Callable[[str], bool]
    ) -> Routes:
        """Count a packet for the sessions that each of its messages is for; return who gets what.

        UNRELIABLE messages, which nothing slows, are dropped for who would be behind by them. A
        session that isn't open any more, while its groups don't know yet, has nothing to read.
        """
        if packet.service is Service.UNRELIABLE:
            given = []
            for item, names in zip(packet.items, sessions, strict=True):
                size = len(item.payload)
                given.append(tuple([name for name in names if self.has_room(name, size)]))
                self._deliver(given[-1], 1, size, is_open)
            return tuple(given)
        before: tuple[str, ...] = ()
        count = size = 0
        for item, names in zip(packet.items, sessions, strict=True):
            if names is not before:  # neighbours in one go: this is done for every message
                self._deliver(before, count, size, is_open)
                before, count, size = names, 0, 0
            count += item.count
            size += len(item.payload)
        self._deliver(before, count, size, is_open)
        return sessions

    def _deliver(
        self, names: tuple[str, ...], count: int, size: int, is_open: Callable[[str], bool]
    ) -> None:
        for name in names:
            if is_open(name):
                self.delivered(name, count, size)

    def delivered(self, session: str, count: int, size: int) -> None:
        """So many messages, of so many bytes together, were given to it."""
        backlog = self._of.get(session)
        if backlog is None:
            backlog = self._of[session] = _Backlog()
        whole = self._all
        backlog.count += count
        backlog.size += size
        whole.count += count
        whole.size += size
        if backlog.exceeds(self._most) and session not in self.behind:
            self.behind |= {session}
        if not self._is_crowded and whole.exceeds(self._most_of_all):
            self._crowd(True)
            most = self._most
            self.behind |= {name for name, each in self._of.items() if each.exceeds(most)}

    def has_room(self, session: str, size: int) -> bool:
        """Whether it may have one more of so many bytes, and not be behind."""
        backlog = self._of.get(session)
        if backlog is None:
            return True
        most, most_bytes = self._most
        is_within = backlog.count < most and backlog.size + size <= most_bytes
        return is_within and session not in self.behind

    def consumed(self, taken: Iterable[tuple[str, int, int]]) -> None:
        """Sessions got through so many deliveries, of so many bytes; each is named once.

        Raises:
            LocalProtocolError: one of them more than it was given; nothing changed.
        """
        for name, count, size in taken:
            backlog = self._of.get(name) or _Backlog()
            if not (0 <= count <= backlog.count and 0 <= size <= backlog.size):
                left = f"{backlog.count} ({backlog.size} bytes)"
                raise LocalProtocolError(
                    f"{count} ({size} bytes) consumed by session {name!r}, {left} are under way"
                )
        for name, count, size in taken:
            if name in self._of:
                self._take(self._of[name], count, size)
        self._forgive()

    def closed(self, session: str) -> None:
        """It has ended: nobody waits for it any more."""
        backlog = self._of.pop(session, None)
        if backlog is not None:
            self._take(backlog, backlog.count, backlog.size)
            self.behind -= {session}
            self._forgive()

    @property
    def _most_of_all(self) -> tuple[int, int]:
        return self._settings.backlog_all_messages, self._settings.backlog_all_bytes

    def _crowd(self, is_crowded: bool) -> None:
        settings = self._settings
        self._is_crowded = is_crowded
        if is_crowded:
            self._most = settings.backlog_share_messages, settings.backlog_share_bytes
        else:
            self._most = settings.backlog_messages, settings.backlog_bytes

    def _take(self, backlog: _Backlog, count: int, size: int) -> None:
        backlog.count -= count
        backlog.size -= size
        self._all.count -= count
        self._all.size -= size

    def _forgive(self) -> None:
        """Who is down to half of what it may have is behind no more."""
        if self._is_crowded and not self._all.exceeds(_half(self._most_of_all)):
            self._crowd(False)
        half = _half(self._most)
        caught_up = [name for name in self.behind if not self._of[name].exceeds(half)]
        if caught_up:
            self.behind = self.behind.difference(caught_up)


def _half(most: tuple[int, int]) -> tuple[int, int]:
    count, size = most
    return count // 2, size // 2


class SessionCredit:
    """Whom in the view this node knows to be behind. Outlives views, as sessions do."""

    def __init__(self, me: NodeId, view: View, settings: Settings) -> None:
        self.me = me
        self.backlogs = SessionBacklogs(settings)
        self._settings = settings
        self._members = view.members
        self._heard: dict[NodeId, frozenset[str]] = {}  # as each other node told last
        self._own = self.backlogs.behind  # as it counts here
        self._told: frozenset[str] | None = self._own  # to the members of this view
        self._has_told = False  # anybody, ever: from then on each new view hears it
        self._behind: frozenset[SessionId] = frozenset()  # in this view, ours too
        self._private: frozenset[str] = frozenset()  # their private groups
        self._found: dict[tuple[str, ...], bool] = {}  # groups -> whether one is full
        self._is_eased = False  # some group may be full no more

    def is_full(self, names: tuple[str, ...], groups: ProcessGroups) -> bool:
        """Whether one of these groups has a member that is behind."""
        behind = self._behind
        if not behind:
            return False
        found = self._found.get(names)  # most go where others went before
        if found is None:
            if len(self._found) >= limits.GROUP_ROUTES_KEPT:
                self._found.clear()
            found = any(name in self._private or groups.has_any(name, behind) for name in names)
            self._found[names] = found
        return found

    # -- what happens ------------------------------------------------------------------------
    def hear(self, peer: NodeId, message: BehindSessions) -> None:
        """A node tells which of its sessions are behind.

        Raises:
            RemoteProtocolError: they are too many, or no names; nothing changed.
        """
        check_behind(message, self._settings)
        if message.sessions:
            self._heard[peer] = frozenset(message.sessions)
        else:
            self._heard.pop(peer, None)
        self._count_anew()

    def gone(self, peer: NodeId) -> None:
        """That life has ended."""
        if self._heard.pop(peer, None) is not None:
            self._count_anew()

    def enter_view(self, view: View) -> None:
        """The members of `view` hear it again: who wasn't with us may know something older."""
        self._members = view.members
        self._heard = {node: self._heard[node] for node in view.members if node in self._heard}
        if self._has_told:
            self._told = None
        self._count_anew()
        self.groups_changed()

    def groups_changed(self) -> None:
        """Somebody is in a group, or out of it."""
        self._found.clear()
        self._is_eased = self._is_eased or bool(self._behind)

    def _count_anew(self) -> None:
        before = self._behind
        found = {SessionId(self.me, name) for name in self._own}
        for node in self._members:
            found.update(SessionId(node, name) for name in self._heard.get(node, ()))
        self._behind = frozenset(found)
        self._found.clear()
        self._private = frozenset(private_group(one.node, one.session) for one in found)
        self._is_eased = self._is_eased or not before <= self._behind

    # -- what follows ------------------------------------------------------------------------
    def look(self, is_frozen: bool) -> list[Effect]:
        """Let who is held try again, and tell the members, if there is a reason.

        A frozen node tells nobody: the view to come hears it.
        """
        if self._own is not self.backlogs.behind:
            self._own = self.backlogs.behind
            self._count_anew()
        effects: list[Effect] = []
        if self._is_eased:
            self._is_eased = False
            effects.append(CreditGiven())
        if self._told != self._own and not is_frozen and len(self._members) > 1:
            self._told, self._has_told = self._own, True
            others = tuple(node for node in self._members if node != self.me)
            effects.append(Send(others, BehindSessions(tuple(sorted(self._own)))))
        return effects
