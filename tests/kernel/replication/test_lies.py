"""A member that errs or lies in what it says: the others take up nothing that can't be so."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from kb_room import Room, settled, wanted

from zactor.kernel.ids import ORIGIN
from zactor.kernel.messages.knowledge import Change as KbChange
from zactor.kernel.messages.knowledge import Entry, KbAttempt, KbPiece, Primary
from zactor.kernel.replication.disk_quorum import DiskQuorum
from zactor.kernel.replication.effects import Broken

ABC = ("n1", "n2", "n3")
FAR = 1 << 40

Change = Callable[[KbAttempt], KbAttempt]


def of_attempt(**fields: Any) -> Change:
    return lambda attempt: msgspec.structs.replace(attempt, **fields)


def of_primary(**fields: Any) -> Change:
    return lambda attempt: msgspec.structs.replace(
        attempt, primary=attempt.primary._replace(**fields)
    )


def without_n3(attempt: KbAttempt) -> KbAttempt:
    """Nobody hears n3, whose vote was counted: it could be counted elsewhere."""
    primary = Primary(attempt.primary.epoch, ("n1", "n2"), "n1", attempt.primary.founding)
    return msgspec.structs.replace(attempt, primary=primary, voices=("n1", "n2"))


WRONG: dict[str, Change] = {
    "ranks far ahead": of_attempt(log_epoch=FAR),
    "ranks ahead": lambda attempt: of_attempt(log_epoch=attempt.primary.epoch)(attempt),
    "a log that its own isn't": of_attempt(number=FAR),
    "another log": of_attempt(chain=b"other"),
    "nobody": of_primary(members=()),
    "who isn't there": of_primary(members=("n1", "n2", "n3", "n9")),
    "a member twice": of_primary(members=("n1", "n1", "n2", "n3")),
    "another decider": of_primary(decider="n3"),
    "no member decides": of_primary(decider="n9"),
    "another cluster": of_primary(founding="theirs"),
    "no cluster": of_primary(founding=""),
    "no voice": of_attempt(voices=()),
    "more voices": of_attempt(voices=(*ABC, "n9")),
    "a voter is no voice": without_n3,
}


def proposed(room: Room, change: Change, name: str = "n1") -> None:
    """The next attempt in the room's view is another, in all else as `name` says it."""
    order = room.order[room.views["n1"].id]
    while not (order and isinstance(order[-1][1], KbAttempt)):
        assert room.step()
    who, right = order.pop()
    assert isinstance(right, KbAttempt)
    assert who == name
    order.append((who, change(right)))


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_an_attempt_that_is_not_what_all_expect_is_dropped(change: Change) -> None:
    room = settled(*ABC)
    room.view(*ABC)
    proposed(room, change)
    room.run()
    assert not room.primaries()
    assert not room.disks["n2"].attempts, "nobody records it"
    room.view(*ABC)
    room.run()
    assert set(room.primaries()) == {*ABC}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_nor_is_one_that_lets_somebody_in(change: Change) -> None:
    room = settled("n1")
    room.replicas |= Room("n2", "n3", "n4").replicas
    room.disks |= Room("n2", "n3", "n4").disks
    room.lives |= {"n2": 1, "n3": 1, "n4": 1}
    room.view(*ABC)
    room.run()
    room.view(*ABC, "n4")
    while room.primaries().keys() != {*ABC}:
        assert room.step()
    proposed(room, change)
    room.run()
    if change not in (WRONG["another log"], WRONG["a log that its own isn't"]):  # nobody looks
        assert room.primaries().keys() == {*ABC}
        assert not room.disks["n2"].attempts
    room.view(*ABC, "n4")
    room.run()
    assert room.primaries().keys() == {*ABC, "n4"}


@pytest.mark.parametrize("change", [of_primary(founding=""), of_attempt(log_epoch=FAR)])
def test_nor_is_one_that_founds_a_cluster(change: Change) -> None:
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    room.found("n1")
    proposed(room, change)
    room.run()
    assert not room.primaries()
    room.found("n2", "others")
    room.run()
    assert set(room.primaries()) == {*ABC}


def test_many_open_attempts_in_a_standing_cost_what_they_are_long() -> None:
    """As many as a group message has room for; each was compared with each."""
    far = 50_000
    room = settled(*ABC)
    room.view(*ABC)
    order = room.order[room.views["n1"].id]
    for place, (name, said) in enumerate(order):
        if name == "n3":
            many = tuple(Primary(2 + number, ("n3",), "n3", "us") for number in range(far))
            order[place] = (name, msgspec.structs.replace(said, attempts=many))
    began = time.process_time()
    room.run()
    assert time.process_time() - began < 10
    assert set(room.primaries()) == {*ABC}


ROW = ("f(1)", FAR, 1, "me", "why", 0.0)
OLDER = Entry(0, 1.0, wanted("older", "older(1)"))
CHANGE = KbChange(FAR, 1, "far", "me", "why", 1.0, (), ("far(1)",), b"")

PIECES: dict[str, tuple[str, dict[str, Any]]] = {
    "ranks far ahead": ("out of reach", {"epoch": FAR}),
    "a clock far ahead": ("out of reach", {"clock": (FAR, 1)}),
    "a change far ahead": ("out of reach", {"changes": (CHANGE,)}),
    "an entry far ahead": ("out of reach", {"entries": (Entry(FAR, 1.0, OLDER.transaction),)}),
    "a fact far ahead": ("out of reach", {"is_snapshot": True, "facts": (ROW,)}),
    "an id far ahead": ("out of reach", {"is_snapshot": True, "ids": (("far", FAR, 1),)}),
    "an entry of an older epoch": ("of an older epoch", {"entries": (OLDER,)}),
    "less than the primary has": ("before the primary", {"number": 0}),
}


@pytest.mark.parametrize(("words", "fields"), PIECES.values(), ids=PIECES)
def test_a_history_that_cannot_be_stops_who_takes_it_and_reaches_no_disk(
    words: str, fields: dict[str, Any]
) -> None:
    room = settled(*ABC)
    room.replicas |= Room("n4").replicas
    room.disks |= Room("n4").disks
    room.lives["n4"] = 1
    room.view(*ABC, "n4")
    while not (room.links and isinstance(room.links[0][2], KbPiece)):
        assert room.step()
    source, target, piece = room.links.popleft()
    room.links.appendleft((source, target, msgspec.structs.replace(piece, **fields)))
    room.run()
    (broken,) = room.all(Broken, "n4")
    assert words in broken.why
    kept = room.disks["n4"].load()
    assert (kept.epoch, kept.number, kept.clock) == (0, 0, ORIGIN)
    assert set(room.primaries()) == {*ABC}
    room.submit("n1", "after", "after(1)")
    room.run()
    assert not room.decided("after").kind


def test_of_what_a_member_says_to_have_on_disk_only_the_last_is_kept() -> None:
    said = DiskQuorum()
    said.formed(5)
    tracemalloc.start()
    try:
        for epoch in range(6, 50_000):
            said.hear("n3", epoch, FAR)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 10_000
    primary = Primary(5, ABC, "n1", "us")
    said.hear("n1", 5, 7)
    assert said.decided(primary) == 0, "n3 has said nothing in that one"
    said.hear("n2", 5, 6)
    assert said.decided(primary) == 6
