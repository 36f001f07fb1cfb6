"""Long messages of a view change travel in pieces, each in a frame of its own."""

from __future__ import annotations

import pytest
from group_world import A, B, C

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.groups.pieces import Pieces, cut
from zactor.kernel.messages.groups import (
    CohortGroups,
    Departed,
    GroupPiece,
    GroupState,
    Install,
    Propose,
)
from zactor.kernel.messages.views import GroupId, SessionId, ViewId
from zactor.kernel.wire import codec

VIEW = ViewId(1, A)


def install(members: int) -> Install:
    sessions = tuple(SessionId(A, f"session {number}") for number in range(members))
    state = GroupState("red", GroupId(VIEW, 0), sessions, False)
    return Install(VIEW, (CohortGroups((A,), (state,)),))


def pieces(members: int) -> list[GroupPiece]:
    found = [part for part in cut(install(members)) if isinstance(part, GroupPiece)]
    assert len(found) > 2
    return found


@pytest.mark.parametrize("message", [install(3), Propose(VIEW, (A, B)), Departed()])
def test_a_short_message_stays_as_it_is(message: Install | Propose | Departed) -> None:
    assert cut(message) == (message,)


def test_a_long_message_arrives_whole() -> None:
    taken = Pieces()
    parts = pieces(10_000)
    assert all(len(part.payload) <= limits.GROUP_PIECE_BYTES for part in parts)
    for part in parts[:-1]:
        assert taken.take(A, part) is None
        assert taken.take(B, part) is None
    assert taken.take(A, parts[-1]) == install(10_000)
    assert taken.take(B, parts[-1]) == install(10_000)


def test_a_piece_goes_alone_and_takes_no_credit() -> None:
    (first, *_) = pieces(10_000)
    assert codec.size_of(first) >= limits.BATCH_BYTES_MAX
    assert not codec.is_credited(first)


def test_a_message_that_is_begun_anew_takes_the_place_of_what_was_lost() -> None:
    taken = Pieces()
    for part in (*pieces(5_000)[:2], *pieces(6_000)[:-1]):
        assert taken.take(A, part) is None
    assert taken.take(A, pieces(6_000)[-1]) == install(6_000)


@pytest.mark.parametrize("place", [1, -1])
def test_a_piece_that_does_not_follow_is_refused(place: int) -> None:
    taken, parts = Pieces(), pieces(10_000)
    with pytest.raises(RemoteProtocolError, match="follows 0"):
        taken.take(A, parts[place])
    for part in parts[:-1]:
        taken.take(A, part)
    taken.gone(A)
    with pytest.raises(RemoteProtocolError, match="follows 0"):
        taken.take(A, parts[-1])
    taken.gone(C)


def test_what_is_longer_than_any_message_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", 40_000)
    taken, parts = Pieces(), pieces(10_000)
    assert len(parts) > 3
    for part in parts[:2]:
        taken.take(A, part)
    with pytest.raises(RemoteProtocolError, match="more than 40000 bytes"):
        taken.take(A, parts[2])


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x90", b"\x93\x78\x00\xc2\xc4\x00"])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed"):
        Pieces().take(A, GroupPiece(0, False, payload))
