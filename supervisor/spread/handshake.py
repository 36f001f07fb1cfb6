"""How a client of Spread begins: its hello, the methods of authentication, the answer.

Bytes in and out; the order is HELLO, list of methods (from 3.16.0 on), choice, result. What is
refused is one byte. Source: Spread 4.4 and 5.0, as their programs and daemons are seen to behave.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from zactor.kernel.errors import ConfigError

PRIVATE_NAME_CHARS_MAX = 10
DAEMON_NAME_CHARS_MAX = 19
METHODS_MAX = 3
PWORD = "PWORD"
"""The method that has an exchange: a user's name and what he knows, and one byte for an answer."""
USER_BYTES, PASSWORD_BYTES = 32, 8
_SLOT_BYTES = 30
CHOICE_BYTES = METHODS_MAX * _SLOT_BYTES

Version = tuple[int, int, int]
ANNOUNCED: Version = (4, 4, 0)
_OLDEST: Version = (3, 1, 0)
_SAYS_PATCH = (3, 14)  # later ones have a third number in their hello
_READS_PATCH: Version = (3, 15, 0)
_CHOOSES: Version = (3, 16, 0)


class Refusal(enum.IntEnum):
    """Why a client is refused: the byte that it gets."""

    QUOTA = -3
    ILLEGAL_NAME = -5
    NOT_UNIQUE = -6
    VERSION = -7
    AUTH = -9


class SpreadRefusedError(Exception):
    """A client is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.name)
        self.refusal = refusal


def refusal_byte(refusal: Refusal) -> bytes:
    """Return what a refused client gets, and nothing else."""
    return int(refusal).to_bytes(1, "little", signed=True)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client wants to be."""

    version: Version
    name: str  # "": the daemon makes one up
    wants_membership: bool

    @property
    def chooses(self) -> bool:
        """Whether it gets a list of methods and answers with its choice."""
        return self.version >= _CHOOSES


def read_hello(data: bytes) -> tuple[Hello, int] | None:
    """Return the hello that `data` begins with and its length; None: there must be more.

    Raises:
        SpreadRefusedError: it can't become a session.
    """
    if len(data) < 2:
        return None
    has_patch = (data[0], data[1]) > _SAYS_PATCH
    fixed = 5 if has_patch else 4
    if len(data) >= 3 or not has_patch:
        version = (data[0], data[1], data[2] if has_patch else 0)
        if version < _OLDEST:
            raise SpreadRefusedError(Refusal.VERSION)
    if len(data) < fixed:
        return None
    length = data[fixed - 1]
    if length > PRIVATE_NAME_CHARS_MAX:
        raise SpreadRefusedError(Refusal.ILLEGAL_NAME)
    if len(data) < fixed + length:
        return None
    raw = data[fixed : fixed + length]
    if not all(0x24 <= byte <= 0x7E for byte in raw):
        raise SpreadRefusedError(Refusal.ILLEGAL_NAME)
    return Hello(version, raw.decode("ascii"), bool(data[fixed - 2] & 1)), fixed + length


def method_list(methods: tuple[str, ...]) -> bytes:
    """Return the list of methods that a client may choose from: one write, or it fails there."""
    names = "".join(f"{method} " for method in methods).encode()
    return bytes((len(names),)) + names


def read_choice(data: bytes) -> tuple[str, ...]:
    """Return the methods chosen, from CHOICE_BYTES; there may be none."""
    chosen = []
    for at in range(0, CHOICE_BYTES, _SLOT_BYTES):
        raw = data[at : at + _SLOT_BYTES].partition(b"\0")[0]
        if not raw:
            break
        chosen.append(raw.decode("ascii", "replace"))
    return tuple(chosen)


def choice(methods: tuple[str, ...]) -> bytes:
    """Return what a program answers that has chosen these."""
    slots = b"".join(each.encode().ljust(_SLOT_BYTES, b"\0") for each in methods)
    return slots.ljust(CHOICE_BYTES, b"\0")


def accepted(version: Version, private_group: str) -> bytes:
    """Return the result for a client that may begin: one write, or it takes a name cut short."""
    says = ANNOUNCED if version >= _READS_PATCH else ANNOUNCED[:2]
    name = private_group.encode()
    return bytes((1, *says, len(name))) + name


# -- the method PWORD ------------------------------------------------------------------------
def credentials(user: str, password: str) -> bytes:
    """Return what a program sends behind its choice.

    Raises:
        ConfigError: they don't fit.
    """
    raw = user.encode(), password.encode()
    sizes = USER_BYTES - 1, PASSWORD_BYTES
    fits = all(len(each) <= size for each, size in zip(raw, sizes, strict=True))
    if not raw[0] or not fits or b"\0" in raw[0] + raw[1]:
        raise ConfigError(
            f"a user of Spread has 1 to {sizes[0]} bytes, and a password up to {sizes[1]}"
        )
    return raw[0].ljust(USER_BYTES, b"\0") + raw[1].ljust(PASSWORD_BYTES, b"\0")


def read_credentials(data: bytes) -> tuple[str, bytes]:
    """Return the user and the password, from USER_BYTES + PASSWORD_BYTES."""
    user = data[:USER_BYTES].partition(b"\0")[0].decode("utf-8", "replace")
    return user, data[USER_BYTES:].partition(b"\0")[0]
