"""Sessions of this node: who is open, what they have joined, and what they may submit."""

from __future__ import annotations

from typing import assert_never

from zactor.kernel.errors import LocalProtocolError, RemoteProtocolError
from zactor.kernel.groups import events
from zactor.kernel.groups.parcels import payloads_of
from zactor.kernel.groups.settings import Settings
from zactor.kernel.messages.base import MARKED_BELOW
from zactor.kernel.messages.groups import GroupItem, Kind
from zactor.kernel.messages.service import Service


class Sessions:
    """The sessions of one node. Checks first, then changes; numbers what they say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._joined: dict[str, set[str]] = {}  # open session -> groups it has asked to be in
        self._closing: set[str] = set()  # closed; their DISCONNECT isn't delivered yet
        self.number = 0  # of the last message

    def is_open(self, session: str) -> bool:
        """True from its opening to its closing."""
        return session in self._joined

    def apply(
        self, event: events.Join | events.Leave | events.SessionOpened | events.SessionClosed
    ) -> tuple[Kind, GroupItem] | None:
        """Do what a session wants; the message, if any, tells the groups. Raises: as below."""
        match event:
            case events.SessionOpened():
                self.open(event.session)
                return None
            case events.SessionClosed():
                item = self.close(event.session)
                return (Kind.DISCONNECT, item) if item is not None else None
            case events.Join():
                return Kind.JOIN, self.join(event.session, event.group)
            case events.Leave():
                return Kind.LEAVE, self.leave(event.session, event.group)
            case _:
                assert_never(event)

    def open(self, session: str) -> None:
        """Begin a session.

        Raises:
            LocalProtocolError: it is open, isn't quite gone, there are too many, or it is no name.
        """
        self._check_name("session", session)
        if session in self._joined or session in self._closing:
            raise LocalProtocolError(f"session {session!r} is open already, or not quite gone")
        if len(self._joined) >= self._settings.sessions_max:
            raise LocalProtocolError(f"{len(self._joined)} sessions are open: that is the maximum")
        self._joined[session] = set()

    def close(self, session: str) -> GroupItem | None:
        """End a session; the message tells its groups, None if it is in none.

        Raises:
            LocalProtocolError: it isn't open.
        """
        groups = self._groups_of(session)
        del self._joined[session]
        if not groups:
            return None
        self._closing.add(session)
        return self._change(session, tuple(sorted(groups)))

    def gone(self, session: str) -> None:
        """Its DISCONNECT was delivered."""
        self._closing.discard(session)

    def join(self, session: str, group: str) -> GroupItem:
        """Enter a group.

        Raises:
            LocalProtocolError: the session isn't open or is in it, or that is no name of a group.
        """
        groups = self._groups_of(session)
        self._check_name("group", group)
        if group in groups:
            raise LocalProtocolError(f"session {session!r} is in group {group!r} already")
        if len(groups) >= self._settings.joined_max:
            raise LocalProtocolError(f"session {session!r} is in {len(groups)} groups, the maximum")
        groups.add(group)
        return self._change(session, (group,))

    def leave(self, session: str, group: str) -> GroupItem:
        """Leave a group.

        Raises:
            LocalProtocolError: the session isn't open or isn't in it.
        """
        groups = self._groups_of(session)
        if group not in groups:
            raise LocalProtocolError(f"session {session!r} isn't in group {group!r}")
        groups.remove(group)
        return self._change(session, (group,))

    def submit(self, event: events.Submit) -> GroupItem:
        """Send to groups, of which the session need not be a member.

        Raises:
            LocalProtocolError: the session isn't open; no group, too many, or too much payload;
                a mess_type that isn't an integer of 16 bits; a parcel that is none.
        """
        settings = self._settings
        if event.session not in self._joined:
            raise _not_open(event.session)
        count = len(event.groups)
        if not 1 <= count <= settings.destinations_max:
            most = settings.destinations_max
            raise LocalProtocolError(f"a message goes to 1 to {most} groups, not to {count}")
        for group in event.groups:
            if not _is_text(group, 2 * settings.name_chars_max):
                raise LocalProtocolError(f"{group[:40]!r} is no name of a group")
        if len(event.payload) > settings.payload_bytes_max:
            most = settings.payload_bytes_max
            raise LocalProtocolError(f"a payload has up to {most} bytes, not {len(event.payload)}")
        if not -(1 << 15) <= event.mess_type < MARKED_BELOW:
            raise LocalProtocolError(f"mess_type {event.mess_type} has more than 16 bits")
        if event.count != 1:
            self._check_parcel(event)
        number = self.number + 1
        self.number += event.count
        return GroupItem(
            number,
            event.service,
            event.session,
            event.groups,
            event.discard,
            event.mess_type,
            event.payload,
            event.count,
        )

    def _check_parcel(self, event: events.Submit) -> None:
        most, most_bytes = self._settings.parcel_messages, self._settings.parcel_bytes
        if not 1 < event.count <= most:
            raise LocalProtocolError(f"a parcel has 2 to {most} messages, not {event.count}")
        if len(event.payload) > most_bytes:
            size = len(event.payload)
            raise LocalProtocolError(f"a parcel has up to {most_bytes} bytes, not {size}")
        if event.service is Service.UNRELIABLE:
            raise LocalProtocolError("messages that are unreliable travel in no parcel")
        try:
            payloads_of(event.payload, event.count)
        except RemoteProtocolError as error:
            raise LocalProtocolError(str(error)) from None

    def _groups_of(self, session: str) -> set[str]:
        if session not in self._joined:
            raise _not_open(session)
        return self._joined[session]

    def _check_name(self, kind: str, name: str) -> None:
        if not _is_text(name, self._settings.name_chars_max) or "#" in name:
            most = self._settings.name_chars_max
            raise LocalProtocolError(f"a {kind}'s name has 1 to {most} characters and no #")

    def _change(self, session: str, groups: tuple[str, ...]) -> GroupItem:
        self.number += 1
        return GroupItem(self.number, Service.AGREED, session, groups, False, 0, b"")


def _is_text(name: str, most: int) -> bool:
    """True if it has 1 to `most` characters, and can travel: a lone surrogate can't."""
    if not 0 < len(name) <= most:
        return False
    return name.isascii() or not any("\ud800" <= character <= "\udfff" for character in name)


def _not_open(session: str) -> LocalProtocolError:
    return LocalProtocolError(f"session {session!r} isn't open")
