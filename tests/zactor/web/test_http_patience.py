"""Connections of the page: the silent and the slow are cut off; who waits for us isn't."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from deadlines import DEADLINE_S

pytest.importorskip("starlette", reason="the extra zactor[web] isn't installed")
pytest.importorskip("uvicorn", reason="the extra zactor[web] isn't installed")

from http_world import free_port, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from zactor.web import http

BRIEF_S = 0.3
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def _late(request: Request) -> Response:
    await request.body()
    await asyncio.sleep(4 * BRIEF_S)
    return PlainTextResponse("late")


async def _early(request: Request) -> Response:
    return PlainTextResponse("early")  # whatever the body is


async def _endless(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        while True:
            yield bytes(64 << 10)
            await asyncio.sleep(0)  # it hears here that nobody is there any more

    return StreamingResponse(parts())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.HttpServer]:
    for name in ("HEADERS_S", "BODY_S", "UNREAD_S"):
        monkeypatch.setattr(http, name, BRIEF_S)
    monkeypatch.setattr(http, "IDLE_S", 1)
    routes = [
        Route("/late", _late, methods=["GET", "POST"]),
        Route("/early", _early, methods=["GET", "POST"]),
        Route("/endless", _endless),
    ]
    with serving(Starlette(routes=routes), free_port()) as server:
        yield server


@pytest.fixture
def port(server: http.HttpServer) -> int:
    return server.config.port


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as made:
        yield made


def answer(connection: socket.socket, body: bytes) -> None:
    """Read an answer up to its end."""
    found = b""
    while not found.endswith(body):
        part = connection.recv(1 << 16)
        assert part, found
        found += part


def is_cut(connection: socket.socket, drip: bytes) -> bool:
    """Whether the connection ends though a byte of `drip` is sent now and then."""
    connection.settimeout(BRIEF_S / 10)
    ends = time.monotonic() + DEADLINE_S
    while time.monotonic() < ends:
        try:
            if drip:
                connection.send(drip)
            if not connection.recv(1 << 16):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


@pytest.mark.parametrize("drip", [b"", b"X"])
def test_a_first_request_has_to_come(port: int, drip: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(b"GET /early HTTP/1.1\r\nHost: x\r\nX: ")
        assert is_cut(connection, drip)


@pytest.mark.parametrize("drip", [b"", b"X"])
def test_so_has_the_next(port: int, drip: bytes) -> None:
    with connected(port) as connection:
        connection.sendall(GET % b"early")
        answer(connection, b"early")
        connection.sendall(b"GET /early HTTP/1.1\r\nHost: x\r\nX: "[: 1000 * len(drip)])
        assert is_cut(connection, drip)


@pytest.mark.parametrize("drip", [b"", b"X"])
@pytest.mark.parametrize("path", [b"late", b"early"])
def test_a_body_has_to_come_also_where_nobody_waits_for_it(
    port: int, path: bytes, drip: bytes
) -> None:
    with connected(port) as connection:
        connection.sendall(POST.replace(b"late", path))
        assert is_cut(connection, drip)


def test_a_request_behind_another_has_to_come_whole_too(port: int) -> None:
    with connected(port) as connection:
        connection.sendall(GET % b"early" + POST)
        answer(connection, b"early")
        assert is_cut(connection, b"")


def test_who_does_not_read_is_cut_off(server: http.HttpServer, port: int) -> None:
    with connected(port) as connection:
        connection.sendall(GET % b"endless")
        assert connection.recv(1) == b"H"
        assert len(server.server_state.connections) == 1
        ends = time.monotonic() + DEADLINE_S
        while server.server_state.connections:
            assert time.monotonic() < ends
            time.sleep(BRIEF_S / 10)


def test_who_waits_for_us_is_not_cut_off(port: int) -> None:
    with connected(port) as connection:
        for _ in range(2):
            connection.sendall(GET % b"late")
            answer(connection, b"late")
        connection.sendall(POST + b"x" * 1_000)
        answer(connection, b"late")
