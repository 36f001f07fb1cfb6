"""The stream goes on where it broke off, or begins anew where that is not enough."""

from __future__ import annotations

import asyncio

import pytest

from zactor.web import picture
from zactor.web.feed import Feed
from zactor.web.happenings import happening
from zactor.web.replay import REPLAY_BYTES_MAX, REPLAY_KEPT, Replay, sequence_of


def filled(count: int, data: str = "{}") -> Replay:
    replay = Replay(100)
    for _ in range(count):
        replay.add((3, 7), "rates", data)
    return replay


def test_who_broke_off_gets_what_came_meanwhile() -> None:
    replay = filled(10)
    missed = replay.since(106)
    assert missed is not None
    assert [event.sequence for event in missed] == [107, 108, 109]
    assert replay.since(109) == []


def test_an_event_says_where_it_stands() -> None:
    event = Replay(100).add((3, 7), "facts", '{"a":1}')
    assert event.text() == 'id: 3.7.100\nevent: facts\ndata: {"a":1}\n\n'
    assert sequence_of(event.id) == 100


@pytest.mark.parametrize("sequence", [-1, 0, 98, 5_000])
def test_what_was_never_said_begins_anew(sequence: int) -> None:
    assert filled(10).since(sequence) is None


def test_who_broke_off_too_long_ago_begins_anew() -> None:
    replay = filled(REPLAY_KEPT + 5)
    assert replay.since(103) is None
    oldest = replay.since(104)
    assert oldest is not None
    assert len(oldest) == REPLAY_KEPT


def test_who_is_too_many_bytes_behind_begins_anew() -> None:
    replay = filled(5, "x" * (REPLAY_BYTES_MAX // 3))
    assert replay.since(100) is None
    assert replay.since(102) is not None


@pytest.mark.parametrize("letter", ["x", "é", "€", "😀"])
def test_what_is_kept_is_bounded_by_its_bytes(letter: str) -> None:
    """Whatever they are, and one that is longer than all may be is not kept."""
    replay = Replay(100)
    size = len(letter.encode())
    for _ in range(50):
        replay.add((3, 7), "facts", letter * (REPLAY_BYTES_MAX // size // 10))
        kept = sum(len(event.data.encode()) for event in replay._events)
        assert kept <= REPLAY_BYTES_MAX
    assert kept > REPLAY_BYTES_MAX * 8 // 10
    long = replay.add((3, 7), "facts", letter * (REPLAY_BYTES_MAX // size + 1))
    assert not replay._events
    assert replay.since(long.sequence) == []
    assert replay.since(long.sequence - 1) is None
    replay.add((3, 7), "rates", "{}")
    assert replay.since(long.sequence) is not None


@pytest.mark.parametrize("text", ["", "x", "1.2", "1.2.x", "1.2.-3", "1.2.3.4", "1.2." + "9" * 99])
def test_what_is_no_id_is_no_place(text: str) -> None:
    assert sequence_of(text) == -1


def test_a_reader_of_the_stream_is_reset_and_then_follows() -> None:
    async def run() -> None:
        feed = Feed(None)  # type: ignore[arg-type]  # it isn't run
        stream = feed.events(-1)
        first = await anext(stream)
        assert first is not None
        assert first.kind == "reset"
        feed.say_goodbye("nobody reads")
        with feed.reading(()):
            feed.say_goodbye("it ends")
            event = await anext(stream)
        assert event is not None
        assert (event.kind, event.data) == ("bye", '{"why":"it ends"}')
        await stream.aclose()

    asyncio.run(run())


def test_a_difference_has_what_is_new_and_what_is_gone() -> None:
    old = {"actors": picture.keyed("actors", [{"name": "a", "node": "n1"}, {"name": "b"}])}
    new = {"actors": picture.keyed("actors", [{"name": "a", "node": "n2"}, {"name": "c"}])}
    assert picture.difference(old, new) == {
        "actors": {"a": {"name": "a", "node": "n2"}, "c": {"name": "c"}, "b": None}
    }
    assert picture.difference(new, new) == {}


def test_a_happening_is_said_in_words_whatever_it_is() -> None:
    known = happening({"number": 1, "at": 1.0, "node": "n1", "event": "node_gone", "name": "n2"})
    assert known["tone"] == "bad"
    newer = happening({"number": 2, "at": 1.0, "node": "n1", "event": "sun_rose", "how": "red"})
    assert newer["text"] == "how red"
    change = happening(
        {"number": 3, "at": 1.0, "node": "n1", "event": "changed", "asserted": ["actor(a,t,n1)"]}
    )
    assert change["text"] == "+actor(a,t,n1)"
