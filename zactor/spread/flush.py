"""The flush layer of one session: memberships of groups that wait for their members' consent. Pure.

What a daemon delivers goes in, what the program gets comes out. A membership of the daemon is only
a *change* here: the program is asked for a flush, its consent goes to the group, and when all of
the change's members have consented it becomes the *view*. What a member has sent before its consent
is of the view before; so all who go together from one view to the next get the same messages in it,
and each message in the view in which it was sent. Who leaves before it has consented ends the
change, and the next one takes its place.

A view that was just entered may be known to some members only. What is sent until all are known to
have entered it says which view it is for, and who isn't there yet keeps it until then. Source: the
flush library of Spread 4.4, as its programs are seen to behave on the wire.
"""

from __future__ import annotations

import enum
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from zactor.spread.c_constants import (
    FL_MIN_LEGAL_MESS_TYPE,
    FLUSH_REQ_MESS,
    ILLEGAL_GROUP,
    ILLEGAL_MESSAGE_TYPE,
    ILLEGAL_RECEIVERS,
    ILLEGAL_STATE,
)
from zactor.spread.c_memberships import GroupId, SpreadError
from zactor.spread.c_received import SpreadReceived
from zactor.spread.client_frames import (
    Cause,
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    SpreadNews,
    SpreadTransitional,
)
from zactor.supervisor.spread import frames

FLUSH_OK, FLUSH_RECV, VULNERABLE = -32768, -32767, -32766
"""What a message of the layer itself bears as its mess_type: consent to a change, the word that its
view was entered, and a message that says which view it is for."""

EARLY_KEPT = 256  # changes of which consents came before they did; then the oldest is forgotten
_ID = {False: struct.Struct("<iii"), True: struct.Struct(">iii")}
_MESS_TYPE = {False: struct.Struct("<h"), True: struct.Struct(">h")}
_COUNT = struct.Struct("<i")


class FlushMessage(NamedTuple):
    """What goes to the daemon."""

    groups: tuple[str, ...]
    mess_type: int
    payload: bytes
    is_subgroup: bool = False


class State(enum.Enum):
    """Where a group is between two views."""

    STEADY = "all members have entered the view"
    VERIFY = "some may not have entered it yet"
    AUTHORIZE = "the program is asked for a flush"
    AGREE = "it has agreed, and others are waited for"


@dataclass(slots=True)
class _Membership:
    """A change, or the view that it became."""

    id: GroupId
    kind: int = 0  # its service type
    changed: str | None = None
    members: tuple[str, ...] = ()  # (): only consents have come
    there: set[str] = field(default_factory=set)  # of the members, those that haven't left since
    has_signal: bool = False  # the program was told that it loses members
    consents: set[str] = field(default_factory=set)

    def is_agreed(self) -> bool:
        return bool(self.members) and self.consents.issuperset(self.members)


class _Group:
    """One group. Its first view has only this session, which sends nothing in it."""

    def __init__(self, name: str, own: str) -> None:
        self.name = name
        self.own = own
        self.is_member = False  # a view was entered
        self.is_leaving = False
        self.state = State.AGREE  # who joins has agreed to what it finds
        self.view = _Membership((0, 0, 0), members=(own,), there={own}, has_signal=True)
        self.latest: tuple[str, ...] = (own,)  # members of the daemon's last membership
        self.changes: deque[_Membership] = deque()  # the first is worked on
        self.known: dict[GroupId, _Membership] = {}  # these, and those of which only consents came
        self.entered: set[str] = set()  # who has entered the view, or the change worked on
        self.kept: list[SpreadReceived] = []  # messages for the view that the change will be

    def change(self, id: GroupId) -> _Membership:
        found = self.known.get(id)
        if found is None:
            found = self.known[id] = _Membership(id)
            early = [each for each in self.known.values() if not each.members]
            if len(early) > EARLY_KEPT:
                del self.known[early[0].id]
        return found


class FlushGroups:
    """The groups of one session. Not thread-safe."""

    def __init__(self, own: str) -> None:
        """`own` is the session's private group."""
        self.ready: deque[SpreadReceived] = deque()  # for the program
        self.out: deque[FlushMessage] = deque()  # for the daemon, as FIFO messages
        self._own = own
        self._groups: dict[str, _Group] = {}
        self._joining: set[str] = set()

    # -- what the program asks ---------------------------------------------------------------
    def join(self, group: str) -> None:
        """It may join.

        Raises:
            SpreadError: ILLEGAL_GROUP: it is in that group, or on its way there.
        """
        if group in self._groups or group in self._joining:
            raise SpreadError(ILLEGAL_GROUP)
        self._joining.add(group)

    def not_joined(self, group: str) -> None:
        """The daemon was not asked after all."""
        self._joining.discard(group)

    def leave(self, group: str) -> None:
        """It may leave.

        Raises:
            SpreadError: ILLEGAL_GROUP: it is no member, or is leaving already.
        """
        self._member(group).is_leaving = True

    def flush(self, group: str) -> None:
        """It agrees to the next view; from now on it sends nothing until it is there.

        Raises:
            SpreadError: ILLEGAL_GROUP: it is no member. ILLEGAL_STATE: nobody has asked for it.
        """
        found = self._member(group)
        if found.state is not State.AUTHORIZE:
            raise SpreadError(ILLEGAL_STATE)
        self._agree(found)

    def message(self, group: str, mess_type: int, payload: bytes) -> FlushMessage:
        """Return what sends a message to a group, or to one session by its private group.

        Raises:
            SpreadError: ILLEGAL_GROUP: it is no member. ILLEGAL_STATE: it has agreed to a view that
                isn't there yet. ILLEGAL_MESSAGE_TYPE: that is one of the layer's own.
        """
        return FlushMessage((group,), *self._marked(group, mess_type, payload))

    def subgroup_message(
        self, group: str, receivers: Sequence[str], mess_type: int, payload: bytes
    ) -> FlushMessage:
        """Return what sends it to some members of the view, by their private groups.

        Raises:
            SpreadError: as `message`. ILLEGAL_RECEIVERS: one of them is no member.
        """
        mess_type, payload = self._marked(group, mess_type, payload)
        allowed = (group,) if "#" in group else self._groups[group].view.members
        if not set(receivers).issubset(allowed):
            raise SpreadError(ILLEGAL_RECEIVERS)
        return FlushMessage(tuple(receivers), mess_type, payload + frames.packed(group), True)

    def _member(self, group: str) -> _Group:
        found = self._groups.get(group)
        if found is None or not found.is_member or found.is_leaving:
            raise SpreadError(ILLEGAL_GROUP)
        return found

    def _marked(self, group: str, mess_type: int, payload: bytes) -> tuple[int, bytes]:
        """Return a message with the view that it is for, where others may not know it."""
        if mess_type < FL_MIN_LEGAL_MESS_TYPE:
            raise SpreadError(ILLEGAL_MESSAGE_TYPE)
        if "#" in group:
            return mess_type, payload
        found = self._member(group)
        if found.state is State.AGREE:
            raise SpreadError(ILLEGAL_STATE)
        if found.state is State.STEADY:
            return mess_type, payload
        mark = _MESS_TYPE[False].pack(mess_type) + _ID[False].pack(*found.view.id)
        return VULNERABLE, payload + mark

    # -- what the daemon delivers ------------------------------------------------------------
    def take(self, news: SpreadNews) -> None:
        """Go on by what was received: see `ready` and `out`."""
        match news:
            case SpreadMessage():
                self._take_message(news)
            case SpreadMembership():
                self._take_membership(news)
            case SpreadTransitional():
                group = self._groups.get(news.group)
                if group is not None:
                    self._signal(group)
            case SpreadLeft():
                self._groups.pop(news.group, None)
                self.ready.append(SpreadReceived(news.service_type, news.group, (), -1, False, b""))

    # -- messages ----------------------------------------------------------------------------
    def _take_message(self, news: SpreadMessage) -> None:
        """Sort out a message; what a stranger sends that looks like the layer's own is nothing."""
        groups, payload = news.groups, news.payload
        if news.service_type & frames.SUBGROUP_CAST:
            if len(payload) < frames.NAME_BYTES:
                return
            name = payload[-frames.NAME_BYTES :].partition(b"\0")[0].decode("utf-8", "replace")
            payload = payload[: -frames.NAME_BYTES]
            groups = (*groups, name)
            target = name
        else:
            target = groups[0]
        mess_type = news.mess_type
        view: GroupId | None = None
        if mess_type < FL_MIN_LEGAL_MESS_TYPE:
            size = _ID[False].size
            if len(payload) < size:
                return
            view = _ID[news.endian_mismatch].unpack(payload[-size:])
            payload = payload[:-size]
        group = self._groups.get(target)
        if mess_type in (FLUSH_OK, FLUSH_RECV):
            if group is not None and view is not None:
                self._take_word(group, mess_type, view, news.sender)
            return
        if mess_type == VULNERABLE:
            size = _MESS_TYPE[False].size
            if len(payload) < size:
                return
            (mess_type,) = _MESS_TYPE[news.endian_mismatch].unpack(payload[-size:])
            payload = payload[:-size]
        made = SpreadReceived(
            news.service_type, news.sender, groups, mess_type, news.endian_mismatch, payload
        )
        if group is not None:
            self._place(group, made, view)
        elif target == self._own:
            self.ready.append(made)

    def _place(self, group: _Group, made: SpreadReceived, view: GroupId | None) -> None:
        """Deliver a message in its view, keep it for the next, or drop what is for another's."""
        change = group.changes[0] if group.changes else None
        if view is None or view == group.view.id:
            if made.sender in group.view.there and group.is_member:
                self.ready.append(made)
        elif (
            group.state is State.AGREE
            and change is not None
            and view == change.id
            and made.sender in change.there
        ):
            group.kept.append(made)

    def _take_word(self, group: _Group, word: int, id: GroupId, sender: str) -> None:
        """Somebody consents to a change, or has entered its view."""
        if word == FLUSH_OK:
            change = group.change(id)
            change.consents.add(sender)
            if group.state is State.AGREE and change.is_agreed() and change is group.changes[0]:
                self._enter(group, change)
            return
        if group.state is State.AGREE and id == group.changes[0].id:
            group.entered.add(sender)
        elif group.state is State.VERIFY and id == group.view.id:
            group.entered.add(sender)
            if group.entered.issuperset(group.view.members):
                group.state = State.STEADY

    # -- memberships -------------------------------------------------------------------------
    def _take_membership(self, news: SpreadMembership) -> None:
        group = self._groups.get(news.group)
        if group is None:
            group = self._groups[news.group] = _Group(news.group, self._own)
            self._joining.discard(news.group)
        leavers = _leavers(news, group.latest)
        change = group.change(news.id)
        change.kind, change.changed = news.service_type, news.changed
        change.members, change.there = news.members, set(news.members)
        group.latest = news.members
        is_less = bool(group.view.there & leavers)
        group.view.there -= leavers
        before = group.changes[0] if group.changes else None
        self._collapse(group, leavers, change)
        group.changes.append(change)
        if group.changes[0] is not before:
            group.kept.clear()  # of members that went another way
            self._begin(group)
        if is_less:
            self._signal(group)

    def _collapse(self, group: _Group, leavers: set[str], last: _Membership) -> None:
        """End the changes that wait for the consent of one who left: the next says what became."""
        is_open = False
        left: deque[_Membership] = deque()
        for change in group.changes:
            gone = change.there & leavers
            if gone <= change.consents:
                change.there -= gone
                left.append(change)
                if is_open:
                    _make_network(change)
                is_open = False
            else:
                del group.known[change.id]
                is_open = True
        if is_open:
            _make_network(last)
        group.changes = left

    def _begin(self, group: _Group) -> None:
        """Work on the first change: the program is asked, unless it has agreed already."""
        group.entered.clear()
        if group.state is State.AGREE:
            self._agree(group)
        elif group.state is not State.AUTHORIZE:
            group.state = State.AUTHORIZE
            self.ready.append(SpreadReceived(FLUSH_REQ_MESS, group.name, (), 0, False, b""))

    def _agree(self, group: _Group) -> None:
        group.state = State.AGREE
        id = group.changes[0].id
        self.out.append(FlushMessage((group.name,), FLUSH_OK, _ID[False].pack(*id)))

    def _enter(self, group: _Group, change: _Membership) -> None:
        """All have consented to the change: it is the view."""
        together = [member for member in group.view.members if member in group.view.there]
        listed = together if change.changed is None else [change.changed]
        body = _ID[False].pack(*change.id) + _COUNT.pack(len(listed))
        self.ready.append(
            SpreadReceived(
                change.kind,
                group.name,
                change.members,
                change.members.index(self._own),
                False,
                body + b"".join(map(frames.packed, listed)),
            )
        )
        group.is_member = True
        group.state = State.VERIFY
        group.view = change
        group.changes.popleft()
        del group.known[change.id]
        if group.changes:
            self._begin(group)
        else:
            self.out.append(FlushMessage((group.name,), FLUSH_RECV, _ID[False].pack(*change.id)))
        if len(change.there) < len(change.members):
            self._signal(group)
        kept, group.kept = group.kept, []
        self.ready += kept

    def _signal(self, group: _Group) -> None:
        """Tell the program once that the view loses members."""
        if not group.view.has_signal:
            group.view.has_signal = True
            self.ready.append(SpreadReceived(frames.TRANSITION, group.name, (), 0, False, b""))


def _leavers(news: SpreadMembership, before: Iterable[str]) -> set[str]:
    """Return who is lost to this session since the membership before."""
    if news.cause is Cause.NETWORK:
        return set(before).difference(news.vs_sets[news.own_set])
    return set() if news.cause is Cause.JOIN or news.changed is None else {news.changed}


def _make_network(change: _Membership) -> None:
    """More than one change has become this one: it says who came together, not who changed."""
    change.kind = frames.REG_MEMB | frames.CAUSED_BY_NETWORK
    change.changed = None
