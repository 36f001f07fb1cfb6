"""What the group engine delivers, as Spread's frames; names and ids as its programs can hold them.

One rule for names: up to 31 bytes of UTF-8 are shown as they are. A longer one (actors and nodes
may have them) is shown as its first bytes, `~` and eight digits of its hash: the same at every node
and for ever, and who sends to what it was shown reaches whom it stands for.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable

from zactor.kernel.groups.effects import Cause, GroupTransitional, GroupView
from zactor.kernel.groups.parcels import payloads_of
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import GroupId, SessionId
from zactor.supervisor.spread import frames
from zactor.supervisor.spread.spread_settings import node_name

_SHOWN_BYTES = frames.NAME_BYTES - 1
_HASH_DIGITS = 8
_KEPT = 4_096  # names, or sets of groups, that are remembered: more only costs time, but who has
# been shown a shortened name so long ago doesn't reach it any more
_ID = struct.Struct("<Iii")
_INT_BITS = 32
_NOTICE = "#daemon"  # who speaks where it is the daemon: no program has to be called so

_CAUSES = {
    Cause.JOIN: frames.CAUSED_BY_JOIN,
    Cause.LEAVE: frames.CAUSED_BY_LEAVE,
    Cause.DISCONNECT: frames.CAUSED_BY_DISCONNECT,
    Cause.NETWORK: frames.CAUSED_BY_NETWORK,
}


def short_name(name: str) -> str:
    """Return a name as programs of Spread see it."""
    raw = name.encode()
    if len(raw) <= _SHOWN_BYTES:
        return name
    digits = hashlib.sha256(raw).hexdigest()[:_HASH_DIGITS]
    kept = raw[: _SHOWN_BYTES - _HASH_DIGITS - 1].decode("utf-8", "ignore")
    return f"{kept}~{digits}"


def group_id(id: GroupId) -> bytes:
    """Return the 12 bytes that name a membership: equal exactly where `id` is, as far as hashes go.

    The first two words are the view's in which it changed last, the third counts its changes.
    """
    view = id.view
    who = zlib.crc32(str(view).encode())
    epoch = view.epoch & 0x7FFFFFFF
    index = (id.index + 1 + (1 << _INT_BITS - 1)) % (1 << _INT_BITS) - (1 << _INT_BITS - 1)
    return _ID.pack(who, epoch, index)


class Deliveries:
    """Makes the frames for the clients of one node; each frame is made once for all of them."""

    def __init__(self, daemons: tuple[str, ...] = ()) -> None:
        """`daemons` are the names of nodes as programs know them, in the order of memberships."""
        self._meant: dict[str, str] = {}  # what shortened names stand for
        self.change(daemons)

    def change(self, daemons: tuple[str, ...]) -> None:
        """From now on these are the daemons."""
        self._daemon_of = {node_name(daemon): daemon for daemon in daemons}
        self._node_of = {daemon: node for node, daemon in self._daemon_of.items()}
        self._place = {node: place for place, node in enumerate(self._daemon_of)}
        self._packed: dict[tuple[NodeId, str], bytes] = {}
        self._groups: dict[tuple[str, ...], bytes] = {}
        self._last: tuple[GroupData, bytes] | None = None
        self._last_view: tuple[GroupView, bytes] | None = None

    def daemon(self, node: str) -> str:
        """Return what programs call that node."""
        return self._daemon_of.get(node, node)

    def in_order(self, nodes: Iterable[str]) -> list[str]:
        """Return what programs call these nodes, in the order of memberships."""
        last = len(self._place)
        return [self.daemon(n) for n in sorted(nodes, key=lambda n: (self._place.get(n, last), n))]

    def shown(self, name: str) -> str:
        """Return a name as clients see it, and know it again when they say it."""
        short = short_name(name)
        if short is not name:
            if len(self._meant) >= _KEPT:
                self._meant.clear()
            self._meant[short] = name
        return short

    def meant(self, shown: str) -> str:
        """Return the name that a client means."""
        meant = self._meant.get(shown)
        if meant is not None:
            return meant
        if shown.startswith("#"):
            session, _, daemon = shown[1:].rpartition("#")
            return f"#{session}#{self._node_of.get(daemon, daemon)}"
        return shown

    def private_group(self, session: str, node: str) -> str:
        """Return how a session is shown."""
        name = f"#{session}#{self._daemon_of.get(node, node)}"
        short = self.shown(name)
        if short is not name:
            self._meant[short] = f"#{session}#{node}"
        return short

    def data(self, message: GroupData) -> bytes:
        """Return a message to groups, or those of a parcel, one behind the other.

        Raises:
            RemoteProtocolError: it is a parcel that can't be read.
        """
        if self._last is not None and self._last[0] is message:
            return self._last[1]  # another client of this node got it a moment ago
        sender = message.sender, message.session
        name = self._packed.get(sender) or self._remember_sender(SessionId(*sender))
        groups = self._groups.get(message.groups)
        if groups is None:
            groups = self._remember_groups(message.groups)
        made = frames.data_frames(
            name,
            groups,
            message.service,
            message.discard,
            message.mess_type,
            (message.payload,)
            if message.count == 1
            else payloads_of(message.payload, message.count),
        )
        self._last = message, made
        return made

    def view(self, change: GroupView) -> bytes:
        """Return a new membership of a group."""
        if self._last_view is not None and self._last_view[0] is change:
            return self._last_view[1]
        if change.changed is not None:
            sets: tuple[tuple[str, ...], ...] = (self._texts((change.changed,)),)
            own = 0
        else:
            sets, own = tuple(map(self._texts, change.sets)), max(change.own, 0)
        made = frames.membership_frame(
            self.shown(change.group),
            _CAUSES[change.cause],
            self._texts(change.members),
            group_id(change.id),
            sets,
            own,
        )
        self._last_view = change, made
        return made

    def transitional(self, change: GroupTransitional) -> bytes:
        """Return the signal that a group loses members."""
        return frames.transitional_frame(self.shown(change.group), group_id(change.id))

    def notice(self, private_group: str, text: str) -> bytes:
        """Return a message of the daemon itself to one of its clients."""
        daemon = private_group.rpartition("#")[2]
        return frames.data_frames(
            frames.packed(f"{_NOTICE}#{daemon}"),
            frames.packed(private_group),
            Service.RELIABLE,
            False,
            0,
            (text.encode(),),
        )

    def left(self, group: str) -> bytes:
        """Return what tells a client that it is out of a group by its own wish."""
        return frames.self_leave_frame(self.shown(group))

    def _destination(self, group: str) -> str:
        if group.startswith("#"):
            session, _, node = group[1:].rpartition("#")
            return self.private_group(session, node)
        return self.shown(group)

    def _texts(self, members: Iterable[SessionId]) -> tuple[str, ...]:
        if self._place:
            last = len(self._place)
            members = sorted(members, key=lambda m: (self._place.get(m.node.name, last), m))
        return tuple(self.private_group(each.session, each.node.name) for each in members)

    def _remember_sender(self, sender: SessionId) -> bytes:
        if len(self._packed) >= _KEPT:
            self._packed.clear()
        made = self._packed[sender.node, sender.session] = frames.packed(
            self.private_group(sender.session, sender.node.name)
        )
        return made

    def _remember_groups(self, groups: tuple[str, ...]) -> bytes:
        if len(self._groups) >= _KEPT:
            self._groups.clear()
        made = self._groups[groups] = b"".join(
            frames.packed(self._destination(each)) for each in groups
        )
        return made
