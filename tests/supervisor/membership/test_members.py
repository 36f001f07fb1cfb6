"""What a node makes of broken connections."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import msgspec
import zmq
from deadlines import running
from live_nodes import live_nodes, until

from zactor.kernel.ids import NodeId
from zactor.supervisor.membership.run_directory import RunEntry, process_start, write_entry
from zactor.supervisor.node import Node


def checks() -> int:
    """How many checks whether a process lives are under way."""
    return sum("_check_process" in repr(task) for task in asyncio.all_tasks() if not task.done())


def test_a_link_that_flaps_has_one_check_of_the_process_under_way(home: Path) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (one, _):
            peer = one.hub.peers["n1"]
            for _ in range(50):
                one.hub._on_monitor(peer, zmq.EVENT_DISCONNECTED)
                assert checks() == 1
                await asyncio.sleep(0)  # it begins
                one.hub._on_monitor(peer, zmq.EVENT_HANDSHAKE_SUCCEEDED)
            await until(lambda: checks() == 0)
            assert one.hub.peers.get("n1") is peer
            one.hub._on_monitor(peer, zmq.EVENT_DISCONNECTED)  # and it may begin again
            assert checks() == 1
            one.hub._on_monitor(peer, zmq.EVENT_HANDSHAKE_SUCCEEDED)
            await until(lambda: checks() == 0)

    asyncio.run(story())


def test_a_process_that_is_gone_is_found_by_the_check_that_an_earlier_break_began(
    home: Path,
) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (one, _):
            peer = one.hub.peers["n1"]
            with socket.create_server(("127.0.0.1", 0)) as free:
                there = f"tcp://127.0.0.1:{free.getsockname()[1]}"
            one.hub._on_monitor(peer, zmq.EVENT_DISCONNECTED)
            await asyncio.sleep(0)  # it tries the door, which is there
            one.hub._on_monitor(peer, zmq.EVENT_HANDSHAKE_SUCCEEDED)
            peer.hello = msgspec.structs.replace(peer.hello, endpoint=there)  # and now it isn't
            one.hub._on_monitor(peer, zmq.EVENT_DISCONNECTED)
            assert checks() == 1
            await until(lambda: peer.dead)
            assert peer.dead == "the process of n1 is gone"

    asyncio.run(story())


def test_a_port_that_another_program_took_hides_no_process_that_is_gone(home: Path) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (one, _):
            peer = one.hub.peers["n1"]  # its door answers all the time, as another's would
            with running(["sleep", 1_000]) as child:
                began = process_start(child.pid)
                door = peer.hello.endpoint
                write_entry(
                    home,
                    RunEntry(name="n1", role="node", endpoint=door, pid=child.pid, started=began),
                )
                await until(lambda: peer.node in one.discovery._ran)
                assert not one.discovery.has_ended(peer.node)
                one.hub._on_monitor(peer, zmq.EVENT_DISCONNECTED)
                await asyncio.sleep(0)
                assert not peer.dead
            assert one.discovery.has_ended(peer.node)
            next_life = NodeId("n1", peer.node.incarnation + 1)
            assert not one.discovery.has_ended(next_life)  # nothing is proved of that
            await until(lambda: peer.dead)
            assert peer.dead == "the process of n1 is gone"

    asyncio.run(story())


def test_who_joins_learns_of_others_as_of_something_old_and_they_of_it_as_of_news(
    home: Path,
) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (first, second):
            seen = [
                [
                    (row["name"], row.get("joining", False))
                    for row in node.journal.events(0)
                    if row["event"] == "node_up"
                ]
                for node in (first, second)
            ]
            assert seen == [[("n1", False)], [("m1", True)]]
            await second.kb.until(lambda: len(second.kb.primary) == 2 or None, 20.0)
            assert all(row.get("joining") for row in second.journal.events(0)[:2])

    asyncio.run(story())


def test_a_status_says_who_is_reached_and_held_down_and_for_how_long(home: Path) -> None:
    def says(node: Node) -> list[str]:
        troubles = node.dispatch._reports.status([]).troubles
        return [text for text in troubles if text.startswith("n1 is")]

    async def story() -> None:
        async with live_nodes(home, "m1", "n1") as (one, _):
            assert says(one) == []
            held = {"peer": str(one.hub.peers["n1"].node), "losses": 8, "wait_ms": 15_400}
            one.members.on_group_trace("peer_held", held)
            assert says(one) == [
                "n1 is reached again, and is a member after 15 s more without a break: it was"
                " lost 8 times of late"
            ]
            one.members.on_group_trace("peer_suspected", held)
            assert says(one) == []
            one.members.on_group_trace("peer_held", {**held, "wait_ms": 500})  # after most losses
            assert says(one) == []

    asyncio.run(story())
