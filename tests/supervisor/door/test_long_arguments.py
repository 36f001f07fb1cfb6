"""Arguments in pieces: put together once, bounded, gone with their client."""

from __future__ import annotations

import pytest

from zactor.kernel import limits
from zactor.kernel.errors import MailboxFull, Refused
from zactor.kernel.messages.operations import AskActor, Inspect, PutArguments, Subject, TellActor
from zactor.supervisor.door.long_arguments import LongArguments

NOW_S = 1_000.0
IDLE_S = limits.DOOR_ARGUMENTS_IDLE_MS / 1000


def ask(key: str) -> AskActor:
    return AskActor(actor="a", action="go", payload=b"P" + key.encode(), plain=False)


def test_pieces_are_put_together_whatever_their_order() -> None:
    long = LongArguments()
    assert long.put(b"c", PutArguments("k", 3, 5, b"de"), NOW_S) == 2
    assert long.put(b"c", PutArguments("k", 0, 5, b"abc"), NOW_S) == 5
    assert long.put(b"c", PutArguments("k", 0, 5, b"abc"), NOW_S) == 5  # sent again
    whole = long.resolved(b"c", ask("k"))
    assert isinstance(whole, AskActor)
    assert whole.payload == b"abcde"
    with pytest.raises(Refused, match="nothing was done"):
        long.resolved(b"c", ask("k"))


def test_a_request_that_has_its_arguments_is_left_alone() -> None:
    long = LongArguments()
    for operation in (
        AskActor(actor="a", action="go", payload=b"D\x90", plain=False),
        Inspect(Subject.NODES, ""),
    ):
        assert long.resolved(b"c", operation) is operation


@pytest.mark.parametrize("key", ["", "other", "\xff"])
def test_arguments_that_are_not_whole_are_refused(key: str) -> None:
    long = LongArguments()
    long.put(b"c", PutArguments("k", 0, 5, b"abc"), NOW_S)
    for client, wanted in ((b"c", "k"), (b"other", "k"), (b"c", key)):
        told = TellActor(actor="a", action="go", payload=b"P" + wanted.encode("utf-8"))
        with pytest.raises(Refused, match="didn't arrive whole"):
            long.resolved(client, told)


@pytest.mark.parametrize(
    "piece",
    [
        PutArguments("k", 4, 5, b"ab"),
        PutArguments("k", -1, 5, b"ab"),
        PutArguments("k", 0, 6, b"ab"),
        PutArguments("k", 0, 5, b""),
        PutArguments("n", 0, 0, b""),
        PutArguments("n", 0, limits.MESSAGE_BYTES_MAX + 1, b"a"),
        PutArguments("n" * 65, 0, 5, b"a"),
    ],
)
def test_a_piece_that_says_two_things_is_refused(piece: PutArguments) -> None:
    long = LongArguments()
    long.put(b"c", PutArguments("k", 0, 5, b"a"), NOW_S)
    with pytest.raises(Refused):
        long.put(b"c", piece, NOW_S)


def test_overlapping_pieces_are_refused_and_forgotten() -> None:
    long = LongArguments()
    long.put(b"c", PutArguments("k", 0, 5, b"abcd"), NOW_S)
    with pytest.raises(Refused, match="overlap"):
        long.put(b"c", PutArguments("k", 1, 5, b"bcd"), NOW_S)
    with pytest.raises(Refused):
        long.resolved(b"c", ask("k"))


def test_what_is_held_is_bounded_and_goes_with_the_client() -> None:
    long = LongArguments()
    half = limits.MESSAGE_BYTES_MAX // 2
    for key in ("a", "b"):
        long.put(b"c", PutArguments(key, 0, half, b"x"), NOW_S)
    with pytest.raises(MailboxFull, match="long calls of yours"):
        long.put(b"c", PutArguments("more", 0, 2, b"x"), NOW_S)
    long.put(b"d", PutArguments("a", 0, half, b"x"), NOW_S)
    long.put(b"d", PutArguments("b", 0, half, b"x"), NOW_S)
    long.put(b"e", PutArguments("a", 0, half, b"x"), NOW_S)
    with pytest.raises(MailboxFull, match="wait for some"):
        long.put(b"e", PutArguments("b", 0, half, b"x"), NOW_S)
    long.forget(b"c")
    long.put(b"e", PutArguments("b", 0, half, b"x"), NOW_S)
    for number in range(limits.DOOR_ARGUMENTS_MAX):
        long.put(b"f", PutArguments(str(number), 0, 2, b"x"), NOW_S)
    with pytest.raises(MailboxFull):
        long.put(b"f", PutArguments("more", 0, 2, b"x"), NOW_S)


def test_what_stands_still_goes_and_what_moves_stays() -> None:
    long = LongArguments()
    most = limits.MESSAGE_BYTES_MAX
    long.put(b"c", PutArguments("idle", 0, most, b"x"), NOW_S)
    long.put(b"d", PutArguments("moves", 0, 2, b"x"), NOW_S)
    assert long.expire(NOW_S + IDLE_S - 1)
    with pytest.raises(MailboxFull, match="of yours"):
        long.put(b"c", PutArguments("more", 0, 1, b"x"), NOW_S + IDLE_S - 1)
    long.put(b"d", PutArguments("moves", 1, 2, b"y"), NOW_S + IDLE_S - 1)
    long.put(b"c", PutArguments("idle", 0, most, b"x"), NOW_S + IDLE_S - 1)  # nothing new
    assert long.expire(NOW_S + IDLE_S)
    with pytest.raises(Refused, match="didn't arrive whole"):
        long.resolved(b"c", ask("idle"))
    long.put(b"c", PutArguments("more", 0, most, b"x"), NOW_S + IDLE_S)
    whole = long.resolved(b"d", ask("moves"))
    assert isinstance(whole, AskActor)
    assert whole.payload == b"xy"
    assert not long.expire(NOW_S + 3 * IDLE_S)


def test_nobody_takes_more_than_it_leaves() -> None:
    long = LongArguments()
    most = limits.MESSAGE_BYTES_MAX
    for greedy in (b"c", b"d"):
        long.put(greedy, PutArguments("k", 0, most, b"x"), NOW_S)
    for client, size in ((b"e", most), (b"f", most // 2)):
        with pytest.raises(MailboxFull, match="would leave"):
            long.put(client, PutArguments("k", 0, size, b"x"), NOW_S)
        long.put(client, PutArguments("k", 0, size // 2, b"x"), NOW_S)
    long.put(b"g", PutArguments("k", 0, most // 8, b"x"), NOW_S)
