"""HTTP: the server's loop and sockets, by uvicorn; who is slow or idle is cut off."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from zactor.kernel.errors import ConfigError

CONNECTIONS_MAX = 512  # at a time; one more is closed at once
HEADERS_S = 10.0  # for the headers of a request, from its connection or first byte on
BODY_S = 10.0  # for all of its body
IDLE_S = 15  # between two requests
UNREAD_S = 30.0  # for what is sent, until it is read as far that more can be
HEADER_BYTES_MAX = 32 << 10
CLOSE_S = 2.0  # for what is under way at the end


class _Patient(H11Protocol):
    """A connection that isn't waited for without end.

    What its client owes has a deadline that no single byte moves: the headers of a request, its
    body, to read what it asked for. While we are the ones who work, or a stream is silent, it owes
    nothing.
    """

    _owed: tuple[str, object] = ("", None)  # what, and of which request
    _deadline: asyncio.TimerHandle | None = None  # of what is owed
    _unread: asyncio.TimerHandle | None = None  # while the connection takes no more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
            return
        self._look()

    def data_received(self, data: bytes) -> None:
        """Some of what is owed, or all."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """The next request may come."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """The client doesn't read what it asked for."""
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self._cancel(self._unread)

    def _look(self) -> None:
        """Begin to wait for what is owed now, unless that has begun."""
        cycle: Any = self.cycle
        if cycle is None:
            owed, seconds = "first", HEADERS_S
        elif cycle.response_complete:  # bytes of a body that nobody wanted don't count either
            owed, seconds = "next", IDLE_S + HEADERS_S
        elif cycle.more_body:
            owed, seconds = "body", BODY_S
        else:
            owed, seconds = "nothing", 0.0
        if self._owed != (owed, cycle):
            self._owed = (owed, cycle)
            self._cancel(self._deadline)
            if seconds:
                self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._cancel(self._deadline)
        self._cancel(self._unread)
        super().connection_lost(exc)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class HttpServer(uvicorn.Server):
    """Serves an app until told to stop; signals are its caller's."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str,
        port: int,
        certificate: str | None = None,
        key: str | None = None,
        on_start: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_start` is called when it listens, `on_stop` before connections are closed.

        Raises:
            ConfigError: the certificate or its key can't be read.
        """
        try:
            config = uvicorn.Config(
                app,
                host=host,
                port=port,
                http=_Patient,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=IDLE_S,
                timeout_graceful_shutdown=int(CLOSE_S),
                h11_max_incomplete_event_size=HEADER_BYTES_MAX,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
            config.load()
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"the certificate {certificate!r} can't be used: {error}") from None
        super().__init__(config)
        self._on_stop = on_stop
        self._on_start = on_start

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave signals to who runs this."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Listen."""
        await super().startup(sockets)
        self._on_start()

    async def shutdown(self, sockets: Any = None) -> None:
        """Tell the readers, then end."""
        self._on_stop()
        await super().shutdown(sockets)
