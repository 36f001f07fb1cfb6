"""A fork's child has no connection of its parent's: it is told so, and may have one of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, Mailbox, ZactorError, action, connect, local
from zactor.client.gateway import RemoteGateway
from zactor.kernel.actors.refs import make_ref

FORK = multiprocessing.get_context("fork")


class Echo(Actor):
    @action
    def echo(self, value: object) -> object:
        return value

    @action
    async def slow(self) -> None:
        await asyncio.sleep(DEADLINE_S)


def in_child(call: Callable[[], Any]) -> str:
    """What `call()` gives or raises in a forked child."""
    reader, writer = FORK.Pipe(duplex=False)

    def run() -> None:
        try:
            writer.send(str(call()))
        except ZactorError as error:
            writer.send(f"{type(error).__name__}: {error}")

    child = FORK.Process(target=run)
    child.start()
    try:
        assert reader.poll(DEADLINE_S), "the child waits for ever"
        return str(reader.recv())
    finally:
        child.kill()
        child.join(DEADLINE_S)


@pytest.mark.slow
def test_what_a_forked_child_uses_of_its_parents_ends_with_an_error() -> None:
    said = "NotReachable: the connection is of this program's parent: connect again in the child"
    with local(nodes=1) as cluster:
        m = cluster.master
        ref = m.deploy_actor(Echo, "e", "n1")
        assert ref.echo(1) == 1
        assert in_child(lambda: ref.echo(2)) == said
        assert in_child(m.nodes) == said
        assert in_child(lambda: asyncio.run(m.awaiting.nodes())) == said

        m.deploy_actor(Echo, "s", "n1")
        waiting = make_ref("s", RemoteGateway(m.connection)).slow()  # begun before the fork
        assert in_child(waiting.result) == said
        with Mailbox("box", home=cluster.home) as box:
            box.join("room")
            assert in_child(lambda: box.multicast("room", b"x")).startswith("NotReachable: ")

        def again() -> object:
            with connect(home=cluster.home) as mine:
                return mine.ref("e").echo(3)

        assert in_child(again) == "3"
        assert in_child(cluster.processes.close) == "None"  # they aren't the child's to end
        assert ref.echo(4) == 4
