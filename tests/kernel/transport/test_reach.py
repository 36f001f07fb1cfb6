"""Who reaches whom: what two nodes do where one way is closed, in one process."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from hubs import first_heartbeat, hub, linked

from zactor.kernel import limits
from zactor.kernel.errors import NotReachable, Refused
from zactor.kernel.messages.operations import Hello
from zactor.kernel.transport.door_call import NO_NODE
from zactor.kernel.transport.peer_table import PeerTable

NOWHERE = "tcp://127.0.0.1:1"


def test_heartbeats_go_to_the_door_of_who_does_not_reach_our_port_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEARTBEATS_UNHEARD_MS", 50)

    async def story() -> None:
        async with hub(tmp_path, "n1") as (one, here), hub(tmp_path, "n2") as (two, there):
            one.heartbeats.endpoint = two.heartbeats.endpoint = NOWHERE
            await one.introduce(two.endpoint)
            await here.until(lambda: here.up == ["n2@1"])
            await there.until(lambda: there.up == ["n1@1"])
            assert one.heartbeats.unheard() == ("n2",)
            assert not one.heartbeats.reaches("n2")
            async with asyncio.timeout(limits.START_S):
                while not (here.beats and there.beats):
                    for each in (one, two):
                        each.keep()
                        each.beat(first_heartbeat(each.me))
                    await asyncio.sleep(0.01)
            assert set(here.beats) == {"n2"}
            assert set(there.beats) == {"n1"}
            assert one.heartbeats.reaches("n2")
            assert one.broken() == set()

    asyncio.run(story())


def test_without_need_nobody_has_a_direct_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HEARTBEATS_UNHEARD_MS", 0)

    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, there)):
            async with asyncio.timeout(limits.START_S):
                while not there.beats or one.heartbeats.unheard() or two.heartbeats.unheard():
                    one.beat(first_heartbeat(one.me))
                    await asyncio.sleep(0.01)
            one.keep()
            assert not one.heartbeats._direct
            assert one.heartbeats.reaches("n2")

    asyncio.run(story())


def test_who_reaches_us_is_told_that_we_do_not_reach_it(tmp_path: Path) -> None:
    async def story() -> list[tuple[str, str]]:
        async with hub(tmp_path, "n1") as (one, here), hub(tmp_path, "n2") as (two, _):
            one.endpoint = NOWHERE  # what n1 tells of itself
            await one.introduce(two.endpoint)
            peer = two.peers["n1"]
            async with asyncio.timeout(limits.START_S):
                while not here.unreached:
                    peer.dialled_ms = min(peer.dialled_ms, 1)  # long ago
                    for each in two.unreached():
                        two.tell_unreached(each, "n1", "n2 can't reach n1")
                    await asyncio.sleep(0.01)
            return here.unreached

    assert set(asyncio.run(story())) == {("n1", "n2 can't reach n1")}


def test_who_is_stopped_is_not_taken_for_another_cluster(tmp_path: Path) -> None:
    async def story() -> str:
        with socket.create_server(("127.0.0.1", 0)) as stopped:  # the system answers, and nobody
            there = f"tcp://127.0.0.1:{stopped.getsockname()[1]}"
            async with hub(tmp_path, "n1") as (one, _):
                with pytest.raises(NotReachable) as caught:
                    await one.introduce(there)
        return str(caught.value)

    assert asyncio.run(story()).endswith(NO_NODE)


# -- machines --------------------------------------------------------------------------------
def hello(name: str, host: str) -> Hello:
    there = f"tcp://{host}:4810"
    return Hello(1, "c", name, 1, "node", "k" * 40, there, there, (3, 11), (0, 0))


def test_who_comes_from_another_machine_and_listens_for_its_own_only_is_refused() -> None:
    with pytest.raises(Refused, match=r"n2 listens on 127.0.0.1 only, so n1 can't reach it"):
        PeerTable("n1", "c").check_place(hello("n2", "127.0.0.1"), "192.0.2.7")


@pytest.mark.parametrize("host", ["", "127.0.0.1", "::1"])
def test_on_one_machine_all_may_listen_for_that_only(host: str) -> None:
    PeerTable("n1", "c").check_place(hello("n2", "127.0.0.1"), host)


def test_who_comes_from_another_machine_to_one_address_of_ours_is_welcome() -> None:
    PeerTable("n1", "c").check_place(hello("n2", "192.0.2.7"), "192.0.2.7")
