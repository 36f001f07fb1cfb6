"""The session of a program at a daemon of Spread, without its socket: bytes in, news out."""

from __future__ import annotations

from zactor.kernel.errors import AlreadyExists, ConfigError, Refused, RemoteProtocolError
from zactor.kernel.homes import at_home
from zactor.kernel.messages.service import Service
from zactor.spread.client_frames import (
    BIT_OF,
    NewsReader,
    SpreadNews,
    check_length,
    check_spread_group,
    request_ends,
    request_frame,
)
from zactor.supervisor.spread import frames
from zactor.supervisor.spread.handshake import (
    ANNOUNCED,
    METHODS_MAX,
    PRIVATE_NAME_CHARS_MAX,
    PWORD,
    Refusal,
    choice,
    credentials,
)

_ENDS_KEPT = 256

_WORDS = {
    Refusal.QUOTA: "it has too many programs",
    Refusal.ILLEGAL_NAME: "that is no name for a program",
    Refusal.NOT_UNIQUE: "another program there has that name",
    Refusal.VERSION: "it wants another version of the library",
    Refusal.AUTH: "it wants another method of authentication",
}


@at_home
class SpreadRefused(Refused):
    """The daemon doesn't let a program in."""

    def __init__(self, why: str, code: int) -> None:
        """`code` is the number that Spread's library has for it."""
        super().__init__(f"the daemon refuses this program: {why}")
        self.code = code
        self._why = why

    def __reduce__(self) -> tuple[type[SpreadRefused], tuple[str, int]]:
        return SpreadRefused, (self._why, self.code)


class SpreadSession:
    """One session, from its hello to its end."""

    def __init__(
        self,
        name: str,
        wants_membership: bool,
        methods: tuple[str, ...] = ("NULL",),
        password: tuple[str, str] | None = None,
    ) -> None:
        """`name` "": the daemon makes one up.

        Args:
            methods: of authentication; NULL and IP need nothing, PWORD the `password`.
            password: a user and what he knows; they travel in clear.

        Raises:
            ConfigError: no program can be called so, so many methods can't be chosen, or that is
                no password for PWORD.
        """
        if not 1 <= len(methods) <= METHODS_MAX:
            raise ConfigError(f"want 1 to {METHODS_MAX} methods of authentication")
        self._owed = b""  # what goes behind the choice
        if PWORD in methods:
            if password is None:
                raise ConfigError(f"the method {PWORD} wants a user and a password")
            self._owed = credentials(*password)
        self._waits_for_password = bool(self._owed)
        self._methods = methods
        if len(name) > PRIVATE_NAME_CHARS_MAX or not all("$" <= each <= "~" for each in name):
            raise ConfigError(
                f"{name[:40]!r} is no name for a program of Spread: want up to"
                f" {PRIVATE_NAME_CHARS_MAX} characters from $ to ~"
            )
        self.private_group = ""  # as soon as it is open
        self._name = name
        self._flags = 1 if wants_membership else 0
        self._buffer = bytearray()  # of the handshake
        self._reader = NewsReader()
        # What stands round the length of messages that are alike: a flood's cost two thirds so.
        self._ends: dict[tuple[object, ...], tuple[bytes, bytes]] = {}
        self._has_list = False

    @property
    def is_open(self) -> bool:
        """Whether the daemon has let it in."""
        return bool(self.private_group)

    @property
    def missing(self) -> int:
        """How many bytes to read next, so that none behind them is read; 1 or more."""
        if self.private_group:
            return self._reader.missing
        have = len(self._buffer)
        if not have:
            return 1
        if not self._has_list:
            return max(1, 1 + self._buffer[0] - have)
        return 5 - have if have < 5 else max(1, 5 + self._buffer[4] - have)

    def hello(self) -> bytes:
        """Return what is to be sent first."""
        return bytes((*ANNOUNCED, self._flags, len(self._name))) + self._name.encode()

    def feed(self, data: bytes) -> tuple[bytes, list[SpreadNews]]:
        """Return what is to be sent now, and what there is to receive.

        Raises:
            AlreadyExists, SpreadRefused: the daemon doesn't let it in. RemoteProtocolError: it
                doesn't speak Spread's protocol.
        """
        if self.private_group:
            return b"", self._reader.feed(data)
        buffer = self._buffer
        buffer += data
        out = b""
        if not self._has_list and buffer:
            _check_byte(buffer[0])
            end = 1 + buffer[0]
            if len(buffer) < end:
                return b"", []
            methods = bytes(buffer[1:end]).decode("ascii", "replace").split()
            del buffer[:end]
            self._has_list = True
            if not set(methods).issuperset(self._methods):
                offered = " ".join(methods)[:60]
                raise SpreadRefused(f"it offers the methods {offered!r}", Refusal.AUTH)
            out = choice(self._methods) + self._owed
        if self._has_list and self._waits_for_password and buffer:
            _check_byte(buffer[0])
            if buffer[0] != 1:
                raise SpreadRefused("that is no user there, or not the password", Refusal.AUTH)
            del buffer[:1]
            self._waits_for_password = False
        if self._has_list and not self._waits_for_password and buffer:
            if buffer[0] != 1:
                _check_byte(buffer[0])
                raise RemoteProtocolError("the daemon says what is no answer of Spread")
            if len(buffer) < 5 or len(buffer) < 5 + buffer[4]:
                return out, []
            end = 5 + buffer[4]
            self.private_group = bytes(buffer[5:end]).decode("utf-8", "replace")
            del buffer[:end]
        return out, self._reader.feed(bytes(buffer)) if self.is_open else []

    # -- requests ----------------------------------------------------------------------------
    def join(self, group: str) -> bytes:
        """Return what enters a group."""
        return request_frame(frames.JOIN, self.private_group, (check_spread_group(group),))

    def leave(self, group: str) -> bytes:
        """Return what leaves a group."""
        return request_frame(frames.LEAVE, self.private_group, (check_spread_group(group),))

    def multicast(
        self,
        groups: tuple[str, ...],
        payload: bytes,
        service: Service,
        mess_type: int,
        discard: bool,
        subgroup: bool = False,
    ) -> bytes:
        """Return what sends a message; `subgroup` is the flush layer's flag."""
        key = groups, service, mess_type, discard, subgroup
        ends = self._ends.get(key)
        if ends is None:
            if not -(1 << 15) <= mess_type < 1 << 16:
                raise ConfigError(f"mess_type {mess_type} has more than 16 bits")
            kind = BIT_OF[service] | (frames.SELF_DISCARD if discard else 0)
            kind |= frames.SUBGROUP_CAST if subgroup else 0
            if len(self._ends) >= _ENDS_KEPT:
                self._ends.clear()
            ends = self._ends[key] = request_ends(kind, self.private_group, groups, mess_type)
        check_length(len(payload), len(groups))
        return b"".join((ends[0], len(payload).to_bytes(4, "little"), ends[1], payload))

    def disconnect(self) -> bytes:
        """Return what ends the session."""
        return request_frame(frames.KILL, self.private_group, (self.private_group,))


def _check_byte(byte: int) -> None:
    """Raise what a refusal means, if that byte is one."""
    if byte < 0x80:
        return
    try:
        refusal = Refusal(byte - 0x100)
    except ValueError:
        raise SpreadRefused(f"code {byte - 0x100}", byte - 0x100) from None
    if refusal is Refusal.NOT_UNIQUE:
        raise AlreadyExists(f"the daemon refuses this program: {_WORDS[refusal]}")
    raise SpreadRefused(_WORDS[refusal], refusal)
