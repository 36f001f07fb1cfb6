"""Spread's configuration file: text in, daemons and settings out.

Words are apart by blanks, `=` too; `#` begins a comment, also within a word; `{` and `}` stand for
themselves. What Spread's daemon takes is taken; what has no meaning here is named once. Source:
Spread 4.4 and 5.0, as their daemons are seen to read such files.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from zactor.kernel.errors import ConfigError, SpreadFileError
from zactor.kernel.limits import SPREAD_PORT

FILE_BYTES_MAX = 1 << 20
SEGMENTS_MAX = 20
HOSTS_MAX = 128
INTERFACES_MAX = 10
SEGMENT_ADDRESSES_MAX = 5
DAEMON_NAME_CHARS_MAX = 19

_WORD = re.compile(r'#.*|"[^"\n]*"|[{}]|[^\s{}"#]+')
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.%\w]+)\](?::(\d+))?")
_NUMBERS = re.compile(r"[0-9.]+")
_TIMEOUTS = frozenset(
    f"{name}Timeout"
    for name in ("Token", "Hurry", "Alive", "Join", "Rep", "Seg", "Gather", "Form", "Lookup")
)
_WITH_VALUE = frozenset(
    (
        "EventPriority",
        "EventLogFile",
        "DangerousMonitor",
        "SocketPortReuse",
        "MaxSessionMessages",
        "RuntimeDir",
        "DaemonUser",
        "DaemonGroup",
        "AllowedAuthMethods",
        "RequiredAuthMethods",
        "AccessControlPolicy",
        "Window",
        "PersonalWindow",
        "AcceleratedWindow",
        "AcceleratedRing",
        "DebugInitialSequence",
        "LinkProtocol",
        *_TIMEOUTS,
    )
)
_USED = frozenset(("AllowedAuthMethods", "RequiredAuthMethods", "DangerousMonitor"))
_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_METHODS = ("NULL", "IP", "PWORD")
_PORTS = 1 << 16  # Spread's daemon takes what a port has beyond that away


@dataclass(frozen=True, slots=True)
class Interface:
    """An address at which a daemon listens, and for whom: some of "D", "C" and "M"."""

    address: str
    kinds: str


@dataclass(frozen=True, slots=True)
class SpreadDaemon:
    """One daemon of the file."""

    name: str
    address: str  # "" where the file has none: the name is a host's
    port: int
    interfaces: tuple[Interface, ...]
    line: int

    @property
    def host(self) -> str:
        """Where it is: its address, or its name to be looked up."""
        return self.address or self.name


@dataclass(frozen=True, slots=True)
class SpreadConfig:
    """What a file says."""

    file: str
    daemons: tuple[SpreadDaemon, ...]  # in the order of the file, which is that of memberships
    settings: dict[str, str]  # those that mean something here
    unused: tuple[str, ...]  # names of settings that mean nothing here

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of authentication that a client may choose from."""
        named = self.settings.get("AllowedAuthMethods", "NULL").split()
        return tuple(name for name in named if name in _METHODS) or ("NULL",)

    @property
    def required(self) -> tuple[str, ...]:
        """Those that it must pass."""
        return tuple(self.settings.get("RequiredAuthMethods", "").split())

    @property
    def obeys_monitors(self) -> bool:
        """Whether monitors may cut, hold and end daemons: unless the file says that they may not.

        Spread's daemon wants it said, as anybody may send it a packet; here a monitor has the key.
        """
        return self.settings.get("DangerousMonitor", "true").lower() not in _FALSE

    def daemon(self, name: str) -> SpreadDaemon:
        """Return the daemon of that name.

        Raises:
            ConfigError: there is none, or its name is too long to be shown to programs.
        """
        for daemon in self.daemons:
            if daemon.name == name:
                if len(name) > DAEMON_NAME_CHARS_MAX:
                    raise ConfigError(
                        f"{self.file}:{daemon.line}: the name {name} is too long:"
                        f" want up to {DAEMON_NAME_CHARS_MAX} characters"
                    )
                return daemon
        raise ConfigError(f"{self.file}: there is no daemon {name!r} in it")


def read_config(text: str, file: str) -> SpreadConfig:
    """Return what a configuration file means.

    Raises:
        SpreadFileError: "FILE:LINE: what is wrong".
    """
    return _ConfigReader(text, file).read()


class _ConfigReader:
    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._words = list(_words(text))
        self._at = 0
        self._daemons: list[SpreadDaemon] = []
        self._settings: dict[str, str] = {}
        self._unused: dict[str, None] = {}
        self._timeouts: set[str] = set()

    def read(self) -> SpreadConfig:
        segments = 0
        while self._at < len(self._words):
            word = self._next("")
            if word == "Spread_Segment":
                segments += 1
                if segments > SEGMENTS_MAX:
                    raise self._error(f"more than {SEGMENTS_MAX} segments")
                self._segment()
            else:
                self._setting(word)
        if self._timeouts and self._timeouts != _TIMEOUTS:
            missing = ", ".join(sorted(_TIMEOUTS - self._timeouts))
            raise self._error(f"all nine timeouts or none: there is no {missing}")
        return SpreadConfig(self._file, tuple(self._daemons), self._settings, tuple(self._unused))

    # -- words -------------------------------------------------------------------------------
    def _peek(self) -> str:
        return self._words[self._at][0] if self._at < len(self._words) else ""

    def _next(self, wanted: str) -> str:
        if self._at >= len(self._words):
            raise self._error(f"the file ends where {wanted} should stand")
        self._at += 1
        return self._words[self._at - 1][0]

    def _take(self, word: str) -> None:
        found = self._next(repr(word))
        if found != word:
            raise self._error(f"{found!r} stands where {word!r} should")

    def _error(self, what: str) -> SpreadFileError:
        line = self._words[max(self._at - 1, 0)][1] if self._words else 1
        return SpreadFileError(f"{self._file}:{line}: {what}")

    # -- settings ----------------------------------------------------------------------------
    def _setting(self, word: str) -> None:
        if word in ("EventTimeStamp", "EventPreciseTimeStamp"):
            self._unused[word] = None
            if self._peek() == "=":
                self._take("=")
                self._next("a format")
        elif word == "DebugFlags":
            self._unused[word] = None
            self._take("=")
            self._skip_block()
        elif word == "RouteMatrix":
            self._unused[word] = None
            self._skip_block()
        elif word in _WITH_VALUE:
            self._take("=")
            value = self._next(f"the value of {word}").strip('"')
            if word in _TIMEOUTS:
                self._timeouts.add(word)
            if word == "DangerousMonitor" and value.lower() not in (*_TRUE, *_FALSE):
                raise self._error(f"{value!r}: want true or false")
            if word in _USED:
                self._settings[word] = value
                if word != "DangerousMonitor":
                    for name in set(value.split()).difference(_METHODS):
                        self._unused[f"{word} {name}"] = None
            else:
                self._unused[word] = None
        else:
            raise self._error(f"syntax error at {word!r}: that is no setting")

    def _skip_block(self) -> None:
        self._take("{")
        while self._next("'}'") != "}":
            pass

    # -- daemons -----------------------------------------------------------------------------
    def _segment(self) -> None:
        port = 0
        count = 0
        while self._peek() != "{":
            count += 1
            if count > SEGMENT_ADDRESSES_MAX:
                raise self._error(f"more than {SEGMENT_ADDRESSES_MAX} addresses of a segment")
            _, found = self._address(self._next("the address of a segment"))
            port = port or found
        if not count:
            raise self._error("a segment without an address")
        self._take("{")
        while self._peek() != "}":
            self._daemon(port or SPREAD_PORT)
        self._take("}")

    def _daemon(self, port: int) -> None:
        name = self._next("the name of a daemon")
        if name == "{":
            raise self._error("a block of interfaces without a daemon")
        line = self._words[self._at - 1][1]
        if any(daemon.name == name for daemon in self._daemons):
            raise self._error(f"Name not unique: {name}")
        if len(self._daemons) >= HOSTS_MAX:
            raise self._error(f"more than {HOSTS_MAX} daemons")
        address = ""
        if _looks_like_address(self._peek()):
            address, other = self._address(self._next("an address"))
            if other:
                raise self._error(f"the port belongs to the segment, not to {name}")
        if self._peek() == "VirtualID":
            self._next("")
            self._take("=")
            self._next("a number")
            self._unused["VirtualID"] = None
        interfaces = tuple(self._interfaces()) if self._peek() == "{" else ()
        daemon = SpreadDaemon(name, address, port, interfaces, line)
        for other_daemon in self._daemons:
            if (other_daemon.host, other_daemon.port) == (daemon.host, port):
                raise self._error(f"{name} and {other_daemon.name} have one address, {daemon.host}")
        self._daemons.append(daemon)

    def _interfaces(self) -> Iterator[Interface]:
        self._take("{")
        count = 0
        while self._peek() != "}":
            kinds = ""
            while self._peek() in ("D", "C", "M"):
                kinds += self._next("")
            address, _ = self._address(self._next("the address of an interface"))
            count += 1
            if count > INTERFACES_MAX:
                raise self._error(f"more than {INTERFACES_MAX} interfaces")
            yield Interface(address, kinds or "DCM")
        self._take("}")

    def _address(self, word: str) -> tuple[str, int]:
        """Return an address and the port behind it, 0 for none."""
        bracketed = _BRACKETED.fullmatch(word)
        if bracketed is not None:
            host, port = bracketed.group(1), bracketed.group(2) or ""
        elif word.count(":") > 1:
            host, port = word, ""
        else:
            host, _, port = word.partition(":")
        try:
            ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            raise self._error(f"Invalid IP {word!r}") from None
        number = int(port) if port.isdecimal() else 0
        if port and not number % _PORTS:
            raise self._error(f"port {port!r}: want 1 to {_PORTS - 1}")
        if number >= _PORTS:
            self._unused[f"port {port} is {number % _PORTS}, and more of it"] = None
        return host, number % _PORTS


def _words(text: str) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(text.splitlines(), 1):
        for word in _WORD.findall(line):
            if not word.startswith("#"):
                yield word, number


def _looks_like_address(word: str) -> bool:
    return word.startswith("[") or ":" in word or bool(_NUMBERS.fullmatch(word) and "." in word)
