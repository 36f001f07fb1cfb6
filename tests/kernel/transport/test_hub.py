"""Two hubs with real sockets in one loop: they meet, link, carry, and part."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from deadlines import DEADLINE_S
from hubs import first_heartbeat, hub, linked, signal

from zactor.kernel import limits
from zactor.kernel.errors import AlreadyExists, Buried, Refused
from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import Transmit
from zactor.kernel.messages.actors import Ask, Failure, Signal, Undelivered
from zactor.kernel.messages.operations import Hello, Inspect, Problem, Request, Subject
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.keys import cluster_keys, node_keys
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.sockets import connect_door
from zactor.kernel.wire import codec, results


def test_what_was_consumed_without_a_frame_is_told_by_its_deadline(
    tmp_path: Path, until: Callable[..., Any]
) -> None:
    """Ten credits make no lot; nothing else goes on that would tell of them."""
    window = limits.LINK_WINDOW_ITEMS

    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, user)):
            peer = one.peers["n2"]
            for number in range(window + 10):
                peer.put(signal(number))
            await user.until(lambda: len(user.items) == window)
            # Else an acknowledgement tells of them too, or its timer looks.
            await asyncio.to_thread(until, lambda: peer.link.queued <= 10 and not two._timer)
            consumer = two.peers["n1"]
            consumer.consumed(10)
            async with asyncio.timeout(DEADLINE_S):
                while consumer.handled:  # noqa: ASYNC110 - the frame is gone in a round or two
                    await asyncio.sleep(0)
            # Not by the probe of who waits for credit, which would come for it in the end.
            assert two._timer or len(user.items) == window + 10
            await user.until(lambda: len(user.items) == window + 10)

    asyncio.run(story())


def test_what_one_puts_the_other_gets_once_and_in_order(tmp_path: Path) -> None:
    async def story() -> list[object]:
        async with linked(tmp_path) as ((one, _), (_, user)):
            for number in range(5_000):
                one.peers["n2"].put(signal(number))
                if number % 1_000 == 0:
                    await asyncio.sleep(0)
            await user.until(lambda: len(user.items) >= 5_000)
            return user.items

    items = asyncio.run(story())
    assert items == [signal(number) for number in range(5_000)]


def test_a_second_node_of_the_same_name_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, _), _), hub(tmp_path, "n3") as (three, _):
            three.me = three.me._replace(name="n2")
            with pytest.raises(AlreadyExists, match="n2 is running already"):
                await three.introduce(one.endpoint)

    asyncio.run(story())


def test_a_node_with_the_copied_state_of_another_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, user)):
            shutil.copytree(tmp_path / "state" / "n2", tmp_path / "state" / "n4")
            async with hub(tmp_path, "n4") as (four, _):
                with pytest.raises(AlreadyExists, match="n4 has the key of n2, which is running"):
                    await four.introduce(one.endpoint)
            one.peers["n2"].put(signal(1))
            await user.until(lambda: user.items == [signal(1)])
            assert two.peers["n1"].connected, "the one that was there first isn't disturbed"

    asyncio.run(story())


def test_another_version_of_the_wire_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with hub(tmp_path, "n1") as (one, _), hub(tmp_path, "n2") as (two, _):
            older = Hello(
                **{
                    field: getattr(one.hello(), field)
                    for field in Hello.__struct_fields__
                    if field != "version"
                },
                version=0,
            )
            with pytest.raises(Refused, match="version 0 of the wire"):
                results.read_welcome(await one.call_door(two.endpoint, older))

    asyncio.run(story())


def test_a_dropped_peer_hands_back_what_was_never_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, user), _):
            peer = one.peers["n2"]
            one.drop_peer("n2", "test")
            peer.put(signal(1))
            assert user.gone == [("n2@1", "test", 0)]
            assert user.late == [signal(1)]

    asyncio.run(story())


def test_who_counts_as_dead_is_told_so(tmp_path: Path) -> None:
    async def story() -> str:
        async with linked(tmp_path) as ((one, _), (two, user)):
            one.drop_peer("n2", "silent")
            two.peers["n1"].put(signal(1))
            await user.until(lambda: bool(user.buried))
            return user.buried[0]

    assert "n2@1 counts as dead at n1" in asyncio.run(story())


def test_only_who_has_its_key_puts_an_older_life_out(tmp_path: Path) -> None:
    """The public key is no secret, so whoever may knock can say that he is the next life."""

    async def story() -> None:
        async with (
            linked(tmp_path) as ((one, user), (two, other)),
            hub(tmp_path, "n3") as (three, _),
        ):
            false = msgspec.structs.replace(two.hello(), incarnation=9, endpoint=three.endpoint)
            results.read_welcome(await three.call_door(one.endpoint, false))
            one.peers["n2"].put(signal(1))
            await other.until(lambda: other.items == [signal(1)])
            assert (user.up, user.gone) == (["n2@1"], [])

    asyncio.run(story())


def test_one_life_at_two_places_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, _)), hub(tmp_path, "n3") as (three, _):
            copy = msgspec.structs.replace(two.hello(), endpoint=three.endpoint)
            with pytest.raises(AlreadyExists, match=r"n2@1 is running already at tcp://.* a copy"):
                results.read_welcome(await three.call_door(one.endpoint, copy))

    asyncio.run(story())


def test_a_new_incarnation_takes_the_place_of_the_old(tmp_path: Path) -> None:
    async def story() -> None:
        async with hub(tmp_path, "n1") as (one, user):
            async with hub(tmp_path, "n2") as (two, _):
                await two.introduce(one.endpoint)
                await user.until(lambda: user.up == ["n2@1"])
            async with hub(tmp_path, "n2", 2) as (two, _):
                await two.introduce(one.endpoint)
                await user.until(lambda: user.up == ["n2@1", "n2@2"])
                assert [(who, why) for who, why, _ in user.gone] == [("n2@1", "n2 was restarted")]

    asyncio.run(story())


def test_a_link_is_dialled_again_when_heartbeats_come_back(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, user), (_, there)):
            peer = one.peers["n2"]
            before = peer.dealer
            one.heartbeats._on_connection("n2", one.heartbeats._subscribers["n2"], False)
            one.heartbeats._on_connection("n2", one.heartbeats._subscribers["n2"], True)
            assert peer.dealer is not before
            assert not peer.connected
            assert user.disconnected == 1
            peer.put(signal(1))
            await there.until(lambda: bool(there.items))
            assert there.items == [signal(1)]
            assert peer.connected
            assert before is not None
            assert not before.closed, "the peer may have slept, with a full queue"
            for _ in range(limits.LINK_ASIDE_MAX):
                one.heartbeats._on_connection("n2", one.heartbeats._subscribers["n2"], False)
                one.heartbeats._on_connection("n2", one.heartbeats._subscribers["n2"], True)
            assert before.closed, "there is a limit"
        assert one._shared.context.closed

    asyncio.run(story())


BAD = "\udcff"  # text that no UTF-8 holds
GOOD = [signal(number) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("bad", "told", "arrives"),
    [
        (
            Signal((7, 8), 1, 9, BAD, b""),
            Undelivered((7, 8), 1, 9, BAD, ""),
            Signal((), 0, 9, "", b""),  # in a parcel, where only its header is replaced
        ),
        (
            Ask(7, 1, 9, BAD, b""),
            Failure(9, "LocalProtocolError", "", {}),
            Signal((), 0, 0, "", b""),
        ),
        (
            Failure(9, "ValueError", BAD, {}),
            None,
            Failure(9, "LocalProtocolError", "", {}),
        ),
        (
            Request(9, Inspect(Subject.WHY, BAD)),
            Problem(9, "LocalProtocolError", "", {}),
            Undelivered((), 0, 0, "", ""),
        ),
        (first_heartbeat(NodeId(BAD, 1)), None, Undelivered((), 0, 0, "", "")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cant_be_encoded_is_an_error_for_its_sender_and_what_follows_arrives(
    tmp_path: Path, bad: object, told: object, arrives: object
) -> None:
    def without_reason(item: object) -> object:
        if isinstance(item, Undelivered):
            return msgspec.structs.replace(item, reason="")
        is_error = isinstance(item, Failure | Problem)
        return msgspec.structs.replace(item, message="") if is_error else item

    async def story() -> None:
        async with linked(tmp_path) as ((one, user), (_, there)):
            for item in (GOOD[0], bad, GOOD[1]):
                one.peers["n2"].put(item)
            await there.until(lambda: len(there.items) == 3)
            one.peers["n2"].put(GOOD[2])
            await there.until(lambda: len(there.items) == 4)
            wanted = sorted(map(repr, [*GOOD, arrives]))  # credited ones are another lane
            assert sorted(repr(without_reason(item)) for item in there.items) == wanted
            assert [without_reason(item) for item in user.items] == [told] * (told is not None)

    asyncio.run(story())


def test_what_takes_the_place_of_the_bad_is_what_goes_again_after_a_break(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, user), _):
            peer = one.peers["n2"]
            bad = Signal((7,), 1, 9, BAD, b"")
            frames = [
                effect.frame
                for effect in peer.link.submit([GOOD[0], bad], one.now_ms())
                if isinstance(effect, Transmit)
            ]
            peer.unsent.extend(frames)
            peer.flush()
            kept = [item for sent in peer.link._out.unacknowledged for item in sent.items]
            assert kept == [GOOD[0], Signal((), 0, 0, "", b"")]
            assert len(user.items) == 1

    asyncio.run(story())


def test_a_request_at_which_the_node_fails_keeps_no_other_from_being_read(
    tmp_path: Path,
) -> None:
    count = 100

    async def story() -> list[object]:
        async with hub(tmp_path, "n1") as (one, user):

            def fail(client: Client, request: Request) -> None:
                user.items.append(request.number)
                user.news.set()
                raise RuntimeError("sick")

            user.on_request = fail  # type: ignore[method-assign]
            context = zmq.Context()
            try:
                keys = cluster_keys(tmp_path)
                client = connect_door(context, one.endpoint, keys.door, keys.server.public)
                for number in range(count):
                    look = Inspect(what=Subject.STATUS, argument="")
                    request = Request(number, look)
                    client.send_multipart(codec.encode_request(request), zmq.NOBLOCK)
                await user.until(lambda: len(user.items) == count)
            finally:
                context.destroy(linger=0)
            return user.items

    assert asyncio.run(story()) == list(range(count))


def test_a_peer_whose_socket_is_full_is_asked_once_where_it_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (_, user)):
            peer = one.peers["n2"]
            dealer, peer.dealer = peer.dealer, None  # which takes nothing
            for _ in range(5):
                one.probe(peer)
            assert len(peer.unsent) == 1
            peer.dealer = dealer
            peer.put(signal(1))
            await user.until(lambda: user.items == [signal(1)])

    asyncio.run(story())


def test_a_broken_connection_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with hub(tmp_path, "n1") as (one, user):
            async with hub(tmp_path, "n2") as (two, _):
                await two.introduce(one.endpoint)
                await user.until(lambda: user.up == ["n2@1"])
            await user.until(lambda: user.disconnected == 1)

    asyncio.run(story())


def _forgotten_before_it_was_up(one: Hub) -> Peer:
    """The peer n2 of a hub, given up as one that said Hello and was never heard."""
    peer = one.peers["n2"]
    peer.up, peer.met_ms = False, one.now_ms() - 3 * limits.HELLO_MS
    one.keep()
    assert "n2" not in one.peers
    return peer


def test_whose_link_was_used_is_not_met_again_as_the_same(tmp_path: Path) -> None:
    """A new link at one end and an old one at the other would drop each other's frames for ever."""

    async def story() -> None:
        async with linked(tmp_path) as ((one, _), (two, there)):
            one.peers["n2"].put(signal(1))
            await there.until(lambda: bool(there.items))
            _forgotten_before_it_was_up(one)
            two.peers["n1"].put(signal(2))
            await there.until(lambda: bool(there.buried))
            with pytest.raises(Buried):
                await two.introduce(one.endpoint)

    asyncio.run(story())


def test_who_said_hello_and_no_more_may_be_met_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with linked(tmp_path) as ((one, user), (two, there)):
            assert not _forgotten_before_it_was_up(one).link.is_used
            await two.introduce(one.endpoint)
            two.peers["n1"].put(signal(2))
            await user.until(lambda: user.items == [signal(2)])
            await user.until(lambda: one.peers["n2"].up)
            assert not there.buried

    asyncio.run(story())


def test_a_node_asks_nothing_at_a_door_with_its_own_key(
    tmp_path: Path, until: Callable[..., Any]
) -> None:
    """Who commands has the token's key; a node's is for its link, whatever it says there."""

    async def story() -> None:
        async with linked(tmp_path) as ((one, user), _):
            asked: list[object] = []
            user.on_request = lambda _, request: asked.append(request)  # type: ignore[method-assign]
            context = zmq.Context()
            try:
                keys, own = cluster_keys(tmp_path), node_keys(tmp_path / "state" / "n2")
                look = Inspect(what=Subject.STATUS, argument="")
                client = connect_door(context, one.endpoint, own, keys.server.public)
                client.send_multipart(codec.encode_request(Request(1, look)), zmq.NOBLOCK)
                await asyncio.to_thread(until, lambda: one.door.frames_refused == 1)
                honest = connect_door(context, one.endpoint, keys.door, keys.server.public)
                honest.send_multipart(codec.encode_request(Request(2, look)), zmq.NOBLOCK)
                await asyncio.to_thread(until, lambda: asked)
                assert asked == [Request(2, look)]
            finally:
                context.destroy(linger=0)

    asyncio.run(story())
