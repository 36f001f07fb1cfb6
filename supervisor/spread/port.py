"""Port where programs written for Spread connect: a TCP address and a Unix socket of a node."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import AlreadyExists, ConfigError, ZactorError
from zactor.kernel.groups.names import check_group_name
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.sessions.session import Session
from zactor.kernel.sessions.turns import Turns
from zactor.supervisor.spread.client import Ended, SpreadClient
from zactor.supervisor.spread.daemon_log import DaemonLog
from zactor.supervisor.spread.deliveries import Deliveries
from zactor.supervisor.spread.handshake import (
    PRIVATE_NAME_CHARS_MAX,
    PWORD,
    Hello,
    Refusal,
)
from zactor.supervisor.spread.spread_settings import SpreadSettings

log = structlog.get_logger()

UNIX_FOLDER = Path("/tmp")
"""Where libraries of Spread look for `PORT`, the Unix socket of a daemon of this machine."""

_TWINS = {"0.0.0.0": "::", "127.0.0.1": "::1"}
"""What else is listened at, where it can be: libraries of Spread 5 take the first address that a
machine has for `localhost`, which may be this."""

_BACKLOG = 128  # a burst of connections: those beyond wait a second for their SYN to be repeated
_LEAVES_S = 2.0  # for one that has left while requests of it wait; libraries give up after 5
_NUMBERS = 9_999  # of made-up names, before they begin again
_MODE = 0o666  # any user of this machine may connect, as to Spread's daemon


class SpreadPort:
    """The clients of one node. Kernel's loop only."""

    def __init__(
        self,
        host: GroupHost,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
        settings: SpreadSettings,
        events: DaemonLog | None = None,
    ) -> None:
        self.deliveries = Deliveries(settings.daemons)
        self._settings = settings
        self._events = events
        self.turns = Turns(host, spawn)
        self.waiting_bytes = 0
        self.ended: Counter[Ended] = Counter()
        self._holders: dict[str, SpreadClient] = {}  # of the names that are in use here
        self._host = host
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._servers: dict[tuple[str, int] | Path, asyncio.Server] = {}
        self._clients: dict[SpreadClient, asyncio.TimerHandle | None] = {}
        self._due: list[SpreadClient] = []
        self._number = 0

    # -- life --------------------------------------------------------------------------------
    async def open(self) -> None:
        """Listen at each address, and at the Unix sockets that go with the ports.

        Raises:
            ConfigError: an address is in use, or none of this machine.
        """
        try:
            await self._listen()
        except ConfigError:
            self.close()
            raise
        paths = [str(at) for at in self._servers if isinstance(at, Path)]
        log.info(
            "spread_port_open",
            endpoint=", ".join(f"{host}:{port}" for host, port in self._settings.addresses),
            path=", ".join(paths) or "no Unix socket",
        )

    async def _listen(self) -> None:
        """Listen where it doesn't yet: who finds us by TCP finds us at the Unix socket too."""
        ports = dict.fromkeys(port for _, port in self._settings.addresses)
        if self._settings.unix_port:
            ports[self._settings.unix_port] = None
        for port in ports:
            if UNIX_FOLDER / str(port) not in self._servers:
                await self._open_unix(UNIX_FOLDER / str(port))
        for address, port in self._settings.addresses:
            if (address, port) not in self._servers:
                await self._open_twin(address, port)
                await self._open_tcp(address, port)

    async def change(self, settings: SpreadSettings) -> None:
        """Go on with other settings; programs that are connected stay.

        Raises:
            ConfigError: a new address is in use, or none of this machine; it listens at the others.
        """
        for at in self._settings.addresses:
            if at not in settings.addresses:
                for each in (at, (_TWINS.get(at[0], ""), at[1])):
                    if each in self._servers:
                        self._servers.pop(each).close()
        self._settings = settings
        self.deliveries.change(settings.daemons)
        await self._listen()

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of authentication that a client may choose from."""
        return self._settings.methods

    @property
    def clients(self) -> int:
        """How many programs are connected."""
        return len(self._clients)

    async def _open_tcp(self, address: str, port: int) -> None:
        try:
            server = await self._loop.create_server(self._make, address, port, backlog=_BACKLOG)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            raise ConfigError(f"no port for Spread at {address}:{port}: {why}") from None
        self._servers[address, port] = server

    async def _open_twin(self, address: str, port: int) -> None:
        twin = _TWINS.get(address)
        if twin is None or (twin, port) in self._servers:
            return
        try:
            await self._open_tcp(twin, port)
        except ConfigError as error:  # no IPv6 here, or another has it
            log.debug("spread_port_without_twin", why=str(error))

    async def _open_unix(self, path: Path) -> None:
        """Listen there too, unless another does: its clients reach that one, as they want."""
        if not _is_free(path):
            log.warning("spread_unix_socket_taken", path=str(path))
            return
        try:
            server = await self._loop.create_unix_server(self._make, str(path), backlog=_BACKLOG)
            os.chmod(path, _MODE)
        except OSError as error:
            log.warning("spread_unix_socket_taken", path=str(path), why=str(error))
            return
        self._servers[path] = server

    def close(self) -> None:
        """End all connections; sessions go with the node."""
        for at, server in self._servers.items():
            server.close()
            if isinstance(at, Path):
                with contextlib.suppress(OSError):
                    at.unlink()
        for client in list(self._clients):
            client.close()

    def _make(self) -> SpreadClient:
        return SpreadClient(self)

    def greet(self, client: SpreadClient) -> None:
        """A program has connected: it has a while for its handshake."""
        if len(self._clients) >= limits.SPREAD_CLIENTS_MAX:
            client.refuse(Refusal.QUOTA)
            return
        self._clients[client] = self._loop.call_later(
            limits.SPREAD_GREETING_S, self._give_up, client
        )

    def _give_up(self, client: SpreadClient) -> None:
        if client in self._clients and not client.is_open:
            log.info("spread_client_silent", address=client.address or "unix")
            self.ended["silent"] += 1
            client.close()

    def enter(self, client: SpreadClient) -> None:
        """A handshake is done."""
        self._tell("C", client)

    def _tell(self, letter: str, client: SpreadClient) -> None:
        if self._events is not None and client.session is not None:
            self._events.write(letter, self.private_group(client.session))

    def drop(self, client: SpreadClient) -> None:
        """A connection is over."""
        if client.is_open:
            self._tell("D", client)
        timer = self._clients.pop(client, None)
        if timer is not None:
            timer.cancel()
        if client.is_due:
            self._due.remove(client)
            client.is_due = False

    def leave(self, session: Session) -> None:
        """A client's session is closed."""
        self._holders.pop(session.name, None)

    @property
    def slow_client_s(self) -> float:
        """How long a client may take nothing; 0: as long as it likes."""
        return self._settings.slow_client_s

    # -- for clients -------------------------------------------------------------------------
    def admits(self, methods: tuple[str, ...], address: str) -> bool:
        """Whether who has chosen these methods may begin: all of them pass, and those required."""
        tried = (*methods, *self._settings.required)
        if not methods or any(method not in self.methods for method in tried):
            return False
        if PWORD in tried and PWORD not in methods:
            return False  # it wouldn't send one
        return "IP" not in tried or self._settings.access.admits(address)

    def private_group(self, session: Session) -> str:
        """How a session is called."""
        return self.deliveries.private_group(session.name, self._host.me.name)

    def begin(self, client: SpreadClient, hello: Hello) -> None:
        """Open a session for a client."""
        self._spawn(self._begin(client, hello.name))

    async def _begin(self, client: SpreadClient, name: str) -> None:
        try:
            if name:
                check_group_name("session", name)
            while True:
                try:
                    made_up = self._made_up(client)
                    session = await self._host.open_session(name or made_up, client)
                    break
                except AlreadyExists:
                    if name and not await self._is_free_soon(name):
                        raise
        except AlreadyExists:
            client.refuse(Refusal.NOT_UNIQUE)
        except ConfigError:
            client.refuse(Refusal.ILLEGAL_NAME)
        except ZactorError:
            client.refuse(Refusal.QUOTA)
        else:
            self._holders[session.name] = client
            client.on_session(session)

    async def _is_free_soon(self, name: str) -> bool:
        """Wait for the session of that name to end, if its program has left."""
        holder = self._holders.get(name)
        if holder is None or not holder.has_left:
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LEAVES_S):
                await holder.ended.wait()
        return holder.ended.is_set()

    def check(self, client: SpreadClient, user: str, password: bytes) -> None:
        """Look whether that is the user's password, and tell the client."""
        self._spawn(self._check(client, user, password))

    async def _check(self, client: SpreadClient, user: str, password: bytes) -> None:
        is_right = await asyncio.to_thread(self._settings.passwords.admits, user, password)
        if not is_right:
            log.warning("spread_password_wrong", user=user, address=client.address or "unix")
        client.on_password(is_right)

    def _made_up(self, client: SpreadClient) -> str:
        """Return a name of the form of Spread's: r, a number, and that of the connection."""
        self._number = (self._number + 1) % _NUMBERS
        return f"r{self._number}-{client.number}"[:PRIVATE_NAME_CHARS_MAX]

    def flush_soon(self, client: SpreadClient) -> None:
        """Something waits for a client: it leaves when this turn of the loop is over."""
        client.is_due = True
        if not self._due:
            self._loop.call_soon(self._flush)
        self._due.append(client)

    def _flush(self) -> None:
        due, self._due = self._due, []
        for client in due:
            client.is_due = False
        for client in due:
            client.flush()


def _is_free(path: Path) -> bool:
    """Whether we may listen at `path`: nothing is there, or what a dead daemon has left there."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return True
    if not stat.S_ISSOCK(mode):
        return False
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                path.unlink()
            return True
        except OSError:
            return False
    return False
