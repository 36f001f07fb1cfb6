"""Sessions of this node: who is open, what they have joined, and what they may submit."""

from __future__ import annotations

from typing import assert_never

from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.protocol import events
from zactor.kernel.protocol.flow import Draft
from zactor.kernel.protocol.group_settings import Settings
from zactor.kernel.protocol.messages import Kind
from zactor.kernel.protocol.service import Service


class Sessions:
    """The sessions of one node. Checks first, then changes; makes drafts with fresh numbers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._joined: dict[str, set[str]] = {}  # open session -> groups it has asked to be in
        self._closing: set[str] = set()  # closed; their DISCONNECT isn't delivered yet
        self.number = 0  # of the last draft

    @property
    def names(self) -> frozenset[str]:
        """The open sessions."""
        return frozenset(self._joined)

    def apply(
        self, event: events.Join | events.Leave | events.SessionOpened | events.SessionClosed
    ) -> Draft | None:
        """Do what a session wants; the draft, if any, tells the groups. Raises: as below."""
        match event:
            case events.SessionOpened():
                self.open(event.session)
                return None
            case events.SessionClosed():
                return self.close(event.session)
            case events.Join():
                return self.join(event.session, event.group)
            case events.Leave():
                return self.leave(event.session, event.group)
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

    def close(self, session: str) -> Draft | None:
        """End a session; the draft tells its groups, None if it is in none.

        Raises:
            LocalProtocolError: it isn't open.
        """
        groups = self._groups_of(session)
        del self._joined[session]
        if not groups:
            return None
        self._closing.add(session)
        return self._draft(Service.AGREED, Kind.DISCONNECT, session, tuple(sorted(groups)))

    def gone(self, session: str) -> None:
        """Its DISCONNECT was delivered."""
        self._closing.discard(session)

    def join(self, session: str, group: str) -> Draft:
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
        return self._draft(Service.AGREED, Kind.JOIN, session, (group,))

    def leave(self, session: str, group: str) -> Draft:
        """Leave a group.

        Raises:
            LocalProtocolError: the session isn't open or isn't in it.
        """
        groups = self._groups_of(session)
        if group not in groups:
            raise LocalProtocolError(f"session {session!r} isn't in group {group!r}")
        groups.remove(group)
        return self._draft(Service.AGREED, Kind.LEAVE, session, (group,))

    def submit(self, event: events.Submit) -> Draft:
        """Send to groups, of which the session need not be a member.

        Raises:
            LocalProtocolError: the session isn't open; no group, too many, or too much payload.
        """
        self._groups_of(event.session)
        count = len(event.groups)
        if not 1 <= count <= self._settings.destinations_max:
            most = self._settings.destinations_max
            raise LocalProtocolError(f"a message goes to 1 to {most} groups, not to {count}")
        for group in event.groups:
            if not 0 < len(group) <= 2 * self._settings.name_chars_max:
                raise LocalProtocolError(f"{group[:40]!r} is no name of a group")
        if len(event.payload) > self._settings.payload_bytes_max:
            most = self._settings.payload_bytes_max
            raise LocalProtocolError(f"a payload has up to {most} bytes, not {len(event.payload)}")
        draft = self._draft(event.service, Kind.DATA, event.session, event.groups)
        return Draft(
            draft.number,
            draft.service,
            draft.kind,
            draft.session,
            draft.groups,
            event.discard,
            event.payload,
        )

    def _groups_of(self, session: str) -> set[str]:
        if session not in self._joined:
            raise LocalProtocolError(f"session {session!r} isn't open")
        return self._joined[session]

    def _check_name(self, kind: str, name: str) -> None:
        if not 0 < len(name) <= self._settings.name_chars_max or "#" in name:
            most = self._settings.name_chars_max
            raise LocalProtocolError(f"a {kind}'s name has 1 to {most} characters and no #")

    def _draft(self, service: Service, kind: Kind, session: str, groups: tuple[str, ...]) -> Draft:
        self.number += 1
        return Draft(self.number, service, kind, session, groups, False, b"")
