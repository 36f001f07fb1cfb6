"""A founding that fails in the middle, a disk lost with it: who is left founds one all the same."""

from __future__ import annotations

import pytest
from kb_room import Room

from zactor.kernel.messages.knowledge import KbAttempted

PAIR = ("n1", "n2")


def failed() -> Room:
    """n1 alone heard that both had recorded it, and lost its disk; n2 has what was ordered then."""
    room = Room(*PAIR)
    room.view(*PAIR)
    room.run()
    room.found("n1")
    while sum(isinstance(said, KbAttempted) for said in room.said("n2")) < len(PAIR):
        assert room.step()
    room.deaf.add("n2")
    room.run()
    assert set(room.primaries()) == {"n1"}
    room.disks["n1"].lose()
    room.restart("n1")
    room.deaf.clear()
    room.view(*PAIR, flush=("n2",))
    assert room.replicas["n2"]._state.log.tail, "it may have been ordered"
    room.run()
    return room


@pytest.mark.parametrize("founder", PAIR)
@pytest.mark.parametrize("last", PAIR)
def test_it_is_founded_anew_whoever_hears_the_attempt_last(founder: str, last: str) -> None:
    """The founder may be asked for its log before it is delivered its own attempt."""
    room = failed()
    room.found(founder, "again")
    room.deaf.add(last)
    room.run()
    room.deaf.clear()
    room.run()
    assert set(room.primaries()) == {*PAIR}
    for name in PAIR:
        assert room.replicas[name].founding == "again"
        assert room.replicas[name].theory.texts() == ["founded(again)"]
