"""A port on an engine that is alone, in a thread of this process: real sockets, no processes."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import random
import socket
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

from zactor.kernel.ids import NodeId
from zactor.kernel.sessions.single_node import solo_host
from zactor.supervisor.spread.port import UNIX_FOLDER, SpreadPort
from zactor.supervisor.spread.spread_settings import SpreadSettings

DEADLINE_S = 30


def free_port() -> int:
    """Return a port of this machine that nobody has.

    The Unix socket that goes with it is taken away at the end: a daemon that is killed leaves it.
    """
    for _ in range(100):
        # Below those that the system gives to whoever connects: one of them may be gone by then.
        number = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("0.0.0.0", number))
            atexit.register((UNIX_FOLDER / str(number)).unlink, missing_ok=True)
            return number
    raise AssertionError("no port is free")


@contextlib.contextmanager
def solo_port(node: str = "n1", **settings: Any) -> Iterator[tuple[str, int]]:
    """Yield the address of a port of its own node, with these SpreadSettings."""
    at = ("127.0.0.1", free_port())
    begun, stop = threading.Event(), threading.Event()
    ends: list[asyncio.Event] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        tasks: set[asyncio.Task[object]] = set()

        def spawn(work: Coroutine[Any, Any, object]) -> None:
            task = asyncio.ensure_future(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        host = solo_host(NodeId(node, 1))
        port = SpreadPort(host, spawn, SpreadSettings(addresses=(at,), **settings))
        end = asyncio.Event()
        ends.append(end)
        try:
            await port.open()
            begun.set()
            await end.wait()
        finally:
            port.close()
            host.close()
            await asyncio.sleep(0)  # the connections are told

    def run() -> None:
        with asyncio.Runner() as runner:
            loops.append(runner.get_loop())
            try:
                runner.run(serve())
            except BaseException as error:
                failed.append(error)
            finally:
                begun.set()
                stop.set()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=run, name="port", daemon=True)
    thread.start()
    assert begun.wait(DEADLINE_S), "the port opens"
    try:
        if failed:
            raise failed[0]
        yield at
    finally:
        if not stop.is_set():
            loops[0].call_soon_threadsafe(ends[0].set)
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "the port closes"
    assert not failed, failed
