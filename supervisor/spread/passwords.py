"""Passwords of Spread's method PWORD: a file with a user and a hash in each line.

The hashes are crypt's, as Spread's daemon reads them: the old ones of 13 characters, and those that
this machine's crypt knows besides (`openssl passwd -6`). What is checked has eight bytes at most,
for more doesn't travel.
"""

from __future__ import annotations

import ctypes
import hmac
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from zactor.kernel.errors import ConfigError
from zactor.supervisor.spread.handshake import USER_BYTES

USERS_MAX = 10_000
_HASH = re.compile(r"[./0-9A-Za-z]{13}|(\$[0-9a-z]{1,8}\$)[!-~]{20,380}")  # crypt's, old and new
_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", None)  # None: musl has it in its libc
_lock = threading.Lock()  # crypt has one buffer for all


@dataclass(frozen=True, slots=True)
class Passwords:
    """Who passes the method PWORD, and with what. Nobody else does."""

    hashes: Mapping[str, str] = field(default_factory=dict)  # by user

    def admits(self, user: str, password: bytes) -> bool:
        """Whether that is the user's password. It may take some ms: not in an event loop."""
        stored = self.hashes.get(user)
        if stored is None:
            return False
        made = _crypt(password, stored.encode())
        return made is not None and hmac.compare_digest(made, stored.encode())


NO_PASSWORDS = Passwords()


def read_passwords(text: str, file: str) -> Passwords:
    """Return what a file of passwords says: USER:HASH, one a line; `#` begins a comment.

    Raises:
        ConfigError: "FILE:LINE: what is wrong", or this machine has no crypt.
    """
    hashes: dict[str, str] = {}
    tried: dict[str | None, bool] = {}  # kinds of hashes: whether this machine's crypt knows them
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        user, colon, rest = line.strip().partition(":")
        stored = rest.partition(":")[0].strip()
        if not colon or not user or len(user.encode()) >= USER_BYTES:
            raise ConfigError(
                f"{file}:{number}: want USER:HASH, a user of up to {USER_BYTES - 1} bytes"
            )
        if user in hashes:
            raise ConfigError(f"{file}:{number}: the user {user!r} stands there twice")
        found = _HASH.fullmatch(stored)
        if found is not None and found[1] not in tried:
            tried[found[1]] = _crypt(b"", stored.encode()) is not None
        if found is None or not tried[found[1]]:
            raise ConfigError(
                f"{file}:{number}: what stands for {user!r} is no hash that crypt knows:"
                " make one with `openssl passwd -6`"
            )
        hashes[user] = stored
        if len(hashes) > USERS_MAX:
            raise ConfigError(f"{file}:{number}: more than {USERS_MAX} users")
    return Passwords(hashes)


def _crypt(password: bytes, salt: bytes) -> bytes | None:
    """Return the hash of a password made as `salt` was; None: that is no salt."""
    with _lock:
        made: bytes | None = _library().crypt(password, salt)
    return None if made is None or made.startswith(b"*") else made


def _library() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            found = ctypes.CDLL(name)
            found.crypt.restype = ctypes.c_char_p
            found.crypt.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
        except (OSError, AttributeError):
            continue
        return found
    raise ConfigError("the method PWORD wants the library libcrypt, which isn't on this machine")
