"""A program's session at a daemon of Spread, theirs or ours: over the port, without a node's door.

`SpreadConnection` blocks, `AsyncSpreadConnection` awaits. Both speak the session protocol over a
plain socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import deque
from types import TracebackType
from typing import Self

from zactor.kernel.errors import ConfigError, NotReachable, TimedOut
from zactor.kernel.limits import SPREAD_PORT
from zactor.kernel.messages.service import Service
from zactor.spread.client_frames import SpreadNews
from zactor.spread.client_session import SpreadSession

CONNECT_S = 5.0  # as Spread's own programs
_READ_BYTES = 256 << 10


def spread_address(daemon: str) -> tuple[str, int] | str:
    """Return where a daemon is, as Spread's programs name it: PORT, PORT@HOST or "".

    Without a host it is the Unix socket of that port on this machine; "" is port 4803.

    Raises:
        ConfigError: it is none of these.
    """
    port, at, host = (daemon or str(SPREAD_PORT)).partition("@")
    if not port.isdecimal() or not 1 <= int(port) <= 65_535 or (at and not host):
        raise ConfigError(f"{daemon!r} is no daemon: want PORT or PORT@HOST")
    return (host, int(port)) if at else f"/tmp/{int(port)}"


def _groups(groups: str | tuple[str, ...]) -> tuple[str, ...]:
    return (groups,) if isinstance(groups, str) else tuple(groups)


class _SharedConnection:
    """What both kinds of connection have: where, the session, and what was received."""

    def __init__(
        self,
        daemon: str = "",
        name: str = "",
        *,
        membership: bool = True,
        timeout: float | None = CONNECT_S,
        methods: tuple[str, ...] = ("NULL",),
        password: tuple[str, str] | None = None,
    ) -> None:
        """Say where to connect, and as whom.

        Args:
            daemon: see `spread_address`. name: of the session, up to 10 characters; "": the daemon
                makes one up. membership: whether memberships are received. timeout: of the
                handshake, in s. methods: of authentication, all of which must pass there.
            password: for the method PWORD: the user, and what is checked; both go in clear.

        Raises:
            ConfigError: `daemon`, `name` or `password` can't be.
        """
        self._address = spread_address(daemon)
        self._timeout = timeout
        self._machine = SpreadSession(name, membership, methods, password)
        self._waiting: deque[SpreadNews] = deque()
        address = self._address
        self._where = address if isinstance(address, str) else "{}:{}".format(*address)

    @property
    def private_group(self) -> str:
        """The name by which others reach this session, like "#alice#d1"."""
        return self._machine.private_group

    @property
    def pending(self) -> int:
        """What is received already and wasn't taken."""
        return len(self._waiting)

    def _take(self, data: bytes) -> bytes:
        """Keep what was received; return what has to be sent for it."""
        if not data:
            raise NotReachable(f"the daemon at {self._where} has closed the connection")
        out, news = self._machine.feed(data)
        self._waiting += news
        return out

    def _gone(self, error: OSError) -> NotReachable:
        return NotReachable(f"the daemon at {self._where} went away: {error.strerror}")

    def _nobody(self, error: OSError) -> NotReachable:
        return NotReachable(f"no daemon of Spread answers at {self._where}: {error}")


class SpreadConnection(_SharedConnection):
    """Blocking. Threads: one receives, others send."""

    def __init__(
        self,
        daemon: str = "",
        name: str = "",
        *,
        membership: bool = True,
        timeout: float | None = CONNECT_S,
        methods: tuple[str, ...] = ("NULL",),
        password: tuple[str, str] | None = None,
        exact: bool = False,
    ) -> None:
        """Connect, as AsyncSpreadConnection does when its block is entered.

        Args:
            exact: no byte is read before it is asked for, so that the descriptor always tells
                whether there is more. It costs a call of the system for each message.

        Raises:
            NotReachable: nobody answers there. AlreadyExists: the name is in use there.
            SpreadRefused, ConfigError: as they say. TimedOut: it took too long.
        """
        super().__init__(
            daemon,
            name,
            membership=membership,
            timeout=timeout,
            methods=methods,
            password=password,
        )
        self._is_exact = exact
        self._sending = threading.Lock()
        self.socket = self._connect()
        try:
            self.socket.sendall(self._machine.hello())
            while not self._machine.is_open:
                self._read(timeout)
        except BaseException:
            self.socket.close()
            raise

    def _connect(self) -> socket.socket:
        address = self._address
        try:
            if not isinstance(address, str):
                made = socket.create_connection(address, self._timeout)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return made
            made = socket.socket(socket.AF_UNIX)
            made.settimeout(self._timeout)
            try:
                made.connect(address)
            except OSError:
                made.close()
                raise
            return made
        except OSError as error:
            raise self._nobody(error) from None

    def fileno(self) -> int:
        """The socket's descriptor, for select and its like; see `pending`."""
        return self.socket.fileno()

    def join(self, group: str) -> None:
        """Enter a group: a membership says when that has happened."""
        self._send(self._machine.join(group))

    def leave(self, group: str) -> None:
        """Leave a group: SpreadLeft says when that has happened."""
        self._send(self._machine.leave(group))

    def multicast(
        self,
        groups: str | tuple[str, ...],
        payload: bytes,
        service: Service = Service.AGREED,
        *,
        mess_type: int = 0,
        discard: bool = False,
        subgroup: bool = False,
    ) -> None:
        """Send to groups and private groups; waits while the daemon takes no more.

        `discard`: no copy for the own session. `subgroup` is the flush layer's flag.

        Raises:
            NotReachable: the daemon went away. ConfigError: it can't be sent.
        """
        made = self._machine.multicast(
            _groups(groups), payload, service, mess_type, discard, subgroup
        )
        self._send(made)

    def receive(self, timeout: float | None = None) -> SpreadNews:
        """Return the next message or membership.

        Raises:
            NotReachable: the daemon went away. TimedOut: nothing came in `timeout` s.
        """
        while not self._waiting:
            self._read(timeout)
        return self._waiting.popleft()

    def close(self) -> None:
        """Say goodbye and end; a second call does nothing."""
        if self.socket.fileno() >= 0:
            with contextlib.suppress(NotReachable):  # it is over anyway
                self._send(self._machine.disconnect())
            self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_for(self, timeout: float | None) -> None:
        if self.socket.gettimeout() != timeout:  # to set it is a system call
            self.socket.settimeout(timeout)

    def _send(self, data: bytes) -> None:
        with self._sending:
            try:
                self._wait_for(None)
                self.socket.sendall(data)
            except OSError as error:
                raise self._gone(error) from None

    def _read(self, timeout: float | None) -> None:
        try:
            self._wait_for(timeout)
            data = self.socket.recv(self._machine.missing if self._is_exact else _READ_BYTES)
        except TimeoutError:
            raise TimedOut(f"nothing from {self._where} in {timeout:g} s") from None
        except OSError as error:
            raise self._gone(error) from None
        if out := self._take(data):
            self.socket.sendall(out)


class AsyncSpreadConnection(_SharedConnection):
    """Awaits: `async with AsyncSpreadConnection("4803@host", "alice") as session`."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        address = self._address
        try:
            async with asyncio.timeout(self._timeout):
                if isinstance(address, str):
                    self._reader, self._writer = await asyncio.open_unix_connection(address)
                else:
                    self._reader, self._writer = await asyncio.open_connection(*address)
                self._writer.write(self._machine.hello())
                while not self._machine.is_open:
                    await self._read()
        except TimeoutError:
            self._abort()
            raise TimedOut(f"no daemon of Spread at {self._where} in {self._timeout} s") from None
        except OSError as error:
            raise self._nobody(error) from None
        except BaseException:
            self._abort()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        """Receive until the daemon goes away."""
        return self

    async def __anext__(self) -> SpreadNews:
        try:
            return await self.receive()
        except NotReachable:
            raise StopAsyncIteration from None

    async def join(self, group: str) -> None:
        """As SpreadConnection."""
        await self._send(self._machine.join(group))

    async def leave(self, group: str) -> None:
        """As SpreadConnection."""
        await self._send(self._machine.leave(group))

    async def multicast(
        self,
        groups: str | tuple[str, ...],
        payload: bytes,
        service: Service = Service.AGREED,
        *,
        mess_type: int = 0,
        discard: bool = False,
    ) -> None:
        """As SpreadConnection."""
        made = self._machine.multicast(_groups(groups), payload, service, mess_type, discard)
        await self._send(made)

    async def receive(self) -> SpreadNews:
        """Return the next message or membership. NotReachable: the daemon went away."""
        while not self._waiting:
            await self._read()
        return self._waiting.popleft()

    async def close(self) -> None:
        """Say goodbye and end; a second call does nothing."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(self._machine.disconnect())
            self._writer.close()
            with contextlib.suppress(OSError):  # the daemon closes first
                await self._writer.wait_closed()

    def _abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    async def _send(self, data: bytes) -> None:
        assert self._writer is not None, "the block is entered"
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise self._gone(error) from None

    async def _read(self) -> None:
        assert self._writer is not None, "the block is entered"
        try:
            data = await self._reader.read(_READ_BYTES)
        except OSError as error:
            raise self._gone(error) from None
        if out := self._take(data):
            self._writer.write(out)
