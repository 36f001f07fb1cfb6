"""The page's HTTP server in a thread of this process, with real sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from deadlines import DEADLINE_S
from starlette.types import ASGIApp

from zactor.web.http import HttpServer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(app: ASGIApp, port: int) -> Iterator[HttpServer]:
    """Serve an app for the time of the block."""
    begun = threading.Event()
    server = HttpServer(app, host="127.0.0.1", port=port, on_start=begun.set)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert begun.wait(DEADLINE_S)
        yield server
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
