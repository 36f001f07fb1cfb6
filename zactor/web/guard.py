"""Guard: which HTTP requests are answered at all. Lists of what is allowed; all else is refused.

Nothing here speaks HTTP: a request is a method, a path and headers, a refusal a status and a word.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

OPEN_PATHS = frozenset({"/healthz", "/api/v1/login"})
METHODS = frozenset({"GET", "HEAD", "POST"})
BODY_BYTES_MAX = 64 << 10
KEY_S = 300.0  # a link's key is good for so long, once
LOGIN_S = 12 * 3600.0
LOGINS_MAX = 1_000  # at a time; then the oldest ends
KEYS_MAX = 1_000  # the same
WRONG_KEYS_A_MINUTE = 10  # that are told so; a right one is let in whatever came before it

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " worker-src 'self'; require-trusted-types-for 'script'; trusted-types zactor"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request isn't answered."""

    status: int
    error: str
    message: str


READ_ONLY = Refusal(403, "ReadOnly", "this page shows, it changes nothing")


class Guard:
    """Who may ask. One loop's."""

    def __init__(
        self,
        hosts: frozenset[str],
        port: int,
        token: str,
        *,
        files: frozenset[str],
        is_secure: bool = False,
        may_change: bool = True,
        now_s: Callable[[], float],
    ) -> None:
        """Args:
        hosts: what a Host header may say, with the port where it has one.
        token: what programs say.
        files: paths of the page's files, which need no login.
        is_secure: https, so that the cookie never goes without.
        """
        self._hosts = frozenset(host.lower() for host in hosts)
        self._cookie = f"zactor_{port}"
        self._token = token
        self._files = files
        self._is_secure = is_secure
        self.may_change = may_change
        self._now_s = now_s
        self._keys: dict[str, float] = {}  # digest -> until when
        self._logins: OrderedDict[str, float] = OrderedDict()
        self._wrong: list[float] = []  # when wrong keys came

    # -- requests ----------------------------------------------------------------------------
    def check(self, method: str, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Return why a request is refused; None: it isn't. Names of headers are in lower case."""
        if headers.get("host", "").lower() not in self._hosts:
            return Refusal(403, "ForeignHost", "this page isn't served under that name (--host)")
        if method not in METHODS:
            return Refusal(405, "MethodNotAllowed", f"{method[:20]} is nothing to ask here")
        is_program = self._is_program(headers)
        if method == "POST" and (refusal := self._check_post(headers, is_program)) is not None:
            return refusal
        if path in OPEN_PATHS or path in self._files or path.startswith("/panel/"):
            return None
        if is_program or self._is_logged_in(headers):
            return None
        return Refusal(401, "LoginNeeded", "open the link that `zactor web` prints")

    def _check_post(self, headers: Mapping[str, str], is_program: bool) -> Refusal | None:
        scheme = "https" if self._is_secure else "http"
        own = f"{scheme}://{headers.get('host', '').lower()}"
        if not is_program and headers.get("origin", "").lower() != own:
            return Refusal(403, "ForeignOrigin", "that comes from another page")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" or headers.get("x-zactor") != "1":
            return Refusal(400, "NotJson", "want application/json and the header X-Zactor: 1")
        length = headers.get("content-length", "")
        if length and (not length.isdecimal() or int(length[:20]) > BODY_BYTES_MAX):
            return Refusal(413, "TooLarge", f"a request has at most {BODY_BYTES_MAX} bytes")
        return None

    def _is_program(self, headers: Mapping[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(), self._token.encode()
        )

    def _is_logged_in(self, headers: Mapping[str, str]) -> bool:
        for part in headers.get("cookie", "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._cookie and self._logins.get(_digest(value), 0.0) > self._now_s():
                return True
        return False

    # -- logging in --------------------------------------------------------------------------
    def new_key(self) -> str:
        """Return a key for a link: good once, for KEY_S."""
        key = secrets.token_urlsafe(24)
        now = self._now_s()
        self._keys = {digest: until for digest, until in self._keys.items() if until >= now}
        self._keys[_digest(key)] = now + KEY_S
        if len(self._keys) > KEYS_MAX:
            del self._keys[next(iter(self._keys))]
        return key

    def log_in(self, key: str) -> str | Refusal:
        """Take a link's key; return the Set-Cookie header."""
        now = self._now_s()
        until = self._keys.pop(_digest(key), 0.0)
        if until < now:
            # Nobody finds one of 192 bits by trying. So who tries can't keep out who has one.
            self._wrong = [at for at in self._wrong if now - at < 60]
            if len(self._wrong) >= WRONG_KEYS_A_MINUTE:
                return Refusal(429, "TooManyKeys", "too many wrong keys: wait a minute")
            self._wrong.append(now)
            return Refusal(
                401, "WrongKey", "that link was used, or is old: `zactor web --link` prints another"
            )
        login = secrets.token_urlsafe(32)
        self._logins[_digest(login)] = now + LOGIN_S
        if len(self._logins) > LOGINS_MAX:
            self._logins.popitem(last=False)
        secure = "; Secure" if self._is_secure else ""
        return (
            f"{self._cookie}={login}; Path=/; Max-Age={LOGIN_S:.0f}; HttpOnly;"
            f" SameSite=Strict{secure}"
        )


def _digest(secret: str) -> str:
    """Compared instead of the secret itself, so that no timing tells how much of it was right."""
    return hashlib.sha256(secret.encode()).hexdigest()


def local_hosts(port: int, more: tuple[str, ...] = ()) -> frozenset[str]:
    """Return what a Host header may say on this machine, and for names that were given."""
    names = ("127.0.0.1", "localhost", "[::1]", *more)
    with_port = {name if _has_port(name) else f"{name}:{port}" for name in names}
    bare = {80: set(names), 443: set(names)}.get(port, set())
    # Behind a proxy a name comes without our port.
    return frozenset(with_port | bare | set(more))


def _has_port(name: str) -> bool:
    return name.rpartition(":")[2].isdecimal() and not name.endswith("]")
