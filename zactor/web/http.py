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
HEADERS_S = 10.0  # for the headers of a first request, or the connection is closed
IDLE_S = 15  # between two requests
HEADER_BYTES_MAX = 32 << 10
CLOSE_S = 2.0  # for what is under way at the end


class _Patient(H11Protocol):
    """A connection that isn't waited for without end."""

    _until_headers: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
            return
        self._until_headers = self.loop.call_later(HEADERS_S, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        if self._until_headers is not None:
            self._until_headers.cancel()
        super().connection_lost(exc)


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
