"""Process groups: which sessions are in which group. Owns the map; all nodes of a view hold it
alike, since joins, leaves and disconnects are AGREED messages.

Source: light-weight groups on a heavy-weight order, as Spread's (Amir, Stanton 1998); the rules
for causes, ids and sets are the sentences 14 to 26 of what Spread promises its clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from zactor.kernel import limits
from zactor.kernel.groups.effects import Cause, GroupLeft, GroupTransitional, GroupView
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import CohortGroups, GroupItem, GroupPacket, GroupState, Kind
from zactor.kernel.messages.views import GroupId, SessionId, ViewId

GroupEffect = GroupView | GroupTransitional | GroupLeft

_CAUSES = {
    Kind.JOIN: Cause.JOIN,
    Kind.LEAVE: Cause.LEAVE,
    Kind.DISCONNECT: Cause.DISCONNECT,
}


def private_group(node: NodeId, session: str) -> str:
    """The group that reaches one session only."""
    return f"#{session}#{node.name}"


class _Group:
    __slots__ = ("disturbed", "id", "members")

    def __init__(self, id: GroupId, members: Iterable[SessionId], disturbed: bool) -> None:
        self.id = id
        self.members = set(members)
        self.disturbed = disturbed


class ProcessGroups:
    """The map of one node."""

    def __init__(self, me: NodeId, view: ViewId) -> None:
        self.me = me
        self._view = view
        self._together: frozenset[NodeId] | None = None  # the cohort, after its transitional signal
        self._flush = ViewId(0, me), 0, 1  # the view to come, place and number of its cohorts
        self._changes = 0  # since the transitional signal
        self._groups: dict[str, _Group] = {}
        self._ended: dict[str, int] = {}  # of groups that are empty since: the last index
        self._first = 0  # index of a group of which nothing is known
        self._routes: dict[tuple[str, ...], tuple[str, ...]] = {}  # groups -> sessions here
        self.size = 0  # memberships in all groups

    def copy(self) -> ProcessGroups:
        """An equal map that can be changed apart: to look what a flush will lead to."""
        other = ProcessGroups(self.me, self._view)
        other._ended, other._first = dict(self._ended), self._first
        other._groups = {
            name: _Group(group.id, group.members, group.disturbed)
            for name, group in self._groups.items()
        }
        return other

    @property
    def names(self) -> tuple[str, ...]:
        """The groups that have members, sorted."""
        return tuple(sorted(self._groups))

    def members(self, group: str) -> tuple[SessionId, ...]:
        """The members of a group, in the order of memberships."""
        found = self._groups.get(group)
        return tuple(sorted(found.members)) if found is not None else ()

    def has_any(self, group: str, sessions: frozenset[SessionId]) -> bool:
        """Whether one of these is a member of that group."""
        found = self._groups.get(group)
        return found is not None and not found.members.isdisjoint(sessions)

    def recipients(
        self, packet: GroupPacket, is_open: Callable[[str], bool]
    ) -> tuple[tuple[str, ...], ...]:
        """Of each message the sessions of this node that it is for; none for a join and such."""
        if packet.kind is not Kind.DATA:
            return ((),) * len(packet.items)
        routes = self._routes
        if packet.sender != self.me:
            # The common case: most messages go where others went before.
            return tuple(
                [
                    route
                    if (route := routes.get(item.groups)) is not None
                    else self._find(item.groups, is_open)
                    for item in packet.items
                ]
            )
        return tuple([self._own(item, is_open) for item in packet.items])

    def _own(self, item: GroupItem, is_open: Callable[[str], bool]) -> tuple[str, ...]:
        found = self._routes.get(item.groups)
        if found is None:
            found = self._find(item.groups, is_open)
        if item.discard:
            return tuple(name for name in found if name != item.session)
        return found

    def _find(self, names: tuple[str, ...], is_open: Callable[[str], bool]) -> tuple[str, ...]:
        """Members here of any of the groups, each once; remembered until something changes."""
        found: set[str] = set()
        for name in names:
            if name.startswith("#"):
                session, _, node = name[1:].rpartition("#")
                if node == self.me.name and is_open(session):
                    found.add(session)
            elif (group := self._groups.get(name)) is not None:
                found.update(member.session for member in self._local(group))
        if len(self._routes) >= limits.GROUP_ROUTES_KEPT:
            self._routes.clear()
        route = self._routes[names] = tuple(sorted(found))
        return route

    def forget_routes(self) -> None:
        """A session came or went, or a group changed."""
        self._routes.clear()

    def _local(self, group: _Group) -> list[SessionId]:
        return [member for member in group.members if member.node == self.me]

    # -- joins, leaves, disconnects ----------------------------------------------------------
    def apply(self, packet: GroupPacket) -> list[GroupEffect]:
        """Do what a delivered JOIN, LEAVE or DISCONNECT says, and tell the members here."""
        if packet.kind is Kind.DATA:
            return []
        self.forget_routes()
        item = packet.items[0]  # these travel alone
        member = SessionId(packet.sender, item.session)
        if packet.kind is Kind.DISCONNECT:
            names: Sequence[str] = sorted(
                name for name, group in self._groups.items() if member in group.members
            )
        else:
            names = item.groups
        effects: list[GroupEffect] = []
        for name in names:
            effects += self._change(name, member, packet)
        return effects

    def _change(self, name: str, member: SessionId, packet: GroupPacket) -> list[GroupEffect]:
        group, kind = self._groups.get(name), packet.kind
        effects: list[GroupEffect] = []
        if kind is Kind.JOIN:
            if group is None:
                first = self._ended.pop(name, self._first - 1)
                group = self._groups[name] = _Group(GroupId(self._view, first), (), False)
            if member in group.members:
                return []
            group.members.add(member)
            self.size += 1
        else:
            if group is None or member not in group.members:
                return []
            group.members.remove(member)
            self.size -= 1
            if member.node == self.me and kind is Kind.LEAVE:
                effects.append(GroupLeft(name, member.session))
        group.id = self._next_id(group.id)
        if not group.members:
            self._end(name, group)
            return effects
        effects += self._tell(name, group, _CAUSES[kind], member, ())
        if group.disturbed and kind is Kind.JOIN and member.node == self.me:
            # It came when the others had had their signal.
            effects.append(GroupTransitional(name, group.id, (member.session,)))
        return effects + self._disturb(name, group)

    def _next_id(self, last: GroupId) -> GroupId:
        """An id that nowhere stands for another membership.

        Who does a change in the regular configuration of a view has done all of this view before
        it, so counting on will do, with the name of *this* view: of the one before, another part
        may have done changes that we have not. After the signal two parts of a split may do
        different changes; but the view to come is ours alone, though its cohorts share the numbers.
        """
        if self._together is None:
            return GroupId(self._view, max(last.index, -1) + 1)
        view, place, count = self._flush
        self._changes += 1
        return GroupId(view, -(self._changes * count - place))

    def _end(self, name: str, group: _Group) -> None:
        """Nobody is in it any more: whoever founds it anew in this view counts on.

        What is remembered is alike at all members: they do the same changes since the view began.
        """
        del self._groups[name]
        if self._together is None:
            self._ended[name] = group.id.index
            if len(self._ended) > limits.GROUP_ENDED_KEPT:
                oldest = next(iter(self._ended))
                self._first = max(self._first, self._ended.pop(oldest) + 1)

    def _tell(
        self,
        name: str,
        group: _Group,
        cause: Cause,
        changed: SessionId | None,
        sets: tuple[tuple[SessionId, ...], ...],
    ) -> list[GroupEffect]:
        sessions = tuple(sorted(member.session for member in self._local(group)))
        if not sessions:
            return []
        mine = [index for index, part in enumerate(sets) if any(m.node == self.me for m in part)]
        return [
            GroupView(
                group=name,
                id=group.id,
                members=tuple(sorted(group.members)),
                cause=cause,
                changed=changed,
                sets=sets,
                own=mine[0] if mine else -1,
                sessions=sessions,
            )
        ]

    # -- change of view ----------------------------------------------------------------------
    def transitional(
        self, cohort: Sequence[NodeId], next_view: ViewId, members: Sequence[NodeId]
    ) -> list[GroupEffect]:
        """Only `cohort` goes on together: tell the members of the groups that lose somebody.

        Args: `members` are those of `next_view`.
        """
        self._together = frozenset(cohort)
        self._flush = next_view, members.index(cohort[0]), len(members)
        self._changes = 0
        effects: list[GroupEffect] = []
        for name in sorted(self._groups):
            effects += self._disturb(name, self._groups[name])
        return effects

    def _disturb(self, name: str, group: _Group) -> list[GroupEffect]:
        if self._together is None or group.disturbed:
            return []
        if all(member.node in self._together for member in group.members):
            return []
        group.disturbed = True
        sessions = tuple(sorted(member.session for member in self._local(group)))
        return [GroupTransitional(name, group.id, sessions)] if sessions else []

    def states(self) -> tuple[GroupState, ...]:
        """The map, for the members of the next view."""
        return tuple(
            GroupState(
                group=name,
                id=self._groups[name].id,
                members=tuple(sorted(self._groups[name].members)),
                disturbed=self._groups[name].disturbed,
            )
            for name in sorted(self._groups)
        )

    def install(self, view: ViewId, cohorts: Sequence[CohortGroups]) -> list[GroupEffect]:
        """Build the map of a new view from those of its cohorts; tell whose group changed.

        A group that one cohort brings whole and alone keeps its id, and nobody is told.
        """
        self._view = view
        self._together = None
        self._groups = {}
        self._ended, self._first = {}, 0
        self.forget_routes()
        brought: dict[str, list[tuple[GroupState, tuple[SessionId, ...]]]] = {}
        for cohort in cohorts:
            nodes = frozenset(cohort.cohort)
            for state in cohort.groups:
                stay = tuple(member for member in state.members if member.node in nodes)
                brought.setdefault(state.group, []).append((state, stay))
        effects: list[GroupEffect] = []
        self.size = 0
        for name in sorted(brought):
            parts = [(state, stay) for state, stay in brought[name] if stay]
            if not parts:
                continue
            members = [member for _, stay in parts for member in stay]
            self.size += len(members)
            state, stay = parts[0]
            if len(parts) == 1 and stay == state.members and not state.disturbed:
                self._groups[name] = _Group(state.id, members, False)
                continue
            group = self._groups[name] = _Group(GroupId(view, 0), members, False)
            sets = tuple(sorted(stay for _, stay in parts))
            effects += self._tell(name, group, Cause.NETWORK, None, sets)
        return effects
