"""Bringing up: pieces of a log or of a snapshot, in order, all or nothing."""

from __future__ import annotations

import pytest
from kb_writes import blank, changes, transaction

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.knowledge import Entry, KbPiece, KbStanding
from zactor.kernel.messages.views import ViewId
from zactor.kernel.replication.log import Log
from zactor.kernel.replication.state_transfer import TransferSource, TransferTarget, is_near

VIEW = ViewId(3, NodeId("n1", 1))


def grown(count: int, tail: int = 0) -> Log:
    log = Log(blank())
    changes(log, count)
    log.extend([Entry(2, 0.5, transaction(count + 1 + number)) for number in range(tail)])
    return log


def pieces(log: Log, digest: bytes) -> list[KbPiece]:
    source = TransferSource(VIEW, log, digest)
    found = [source.take()]
    while not found[-1].last:
        found.append(source.take())
    return found


@pytest.mark.parametrize("kept", [10, 10_000])
def test_whatever_the_way_the_taker_has_all_in_the_end(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", kept)
    monkeypatch.setattr(limits, "KB_PIECE_BYTES", 300)
    log = grown(50, tail=20)
    way = pieces(log, b"")
    assert len(way) > 10
    assert [piece.piece for piece in way] == list(range(len(way)))
    assert [piece.last for piece in way] == [False] * (len(way) - 1) + [True]
    assert {piece.is_snapshot for piece in way} == {kept == 10}
    target, taker = TransferTarget(1), Log(blank())
    for piece in way:
        target.add(piece)
    if kept == 10:
        taker.replace(target.snapshot(way[-1]))
    else:
        for change in target.changes:
            taker.follow(change)
        taker.stand(way[-1].number, way[-1].chain, way[-1].epoch)
    taker.extend(target.entries)
    assert taker.theory.rows() == log.theory.rows()
    assert (taker.clock, taker.digest) == (log.clock, log.digest)
    assert (taker.end, taker.end_chain, taker.epoch) == (log.end, log.end_chain, log.epoch)
    assert taker.history.ids() == log.history.ids()


def test_who_lacks_nothing_still_gets_one_piece() -> None:
    log = grown(2)
    (piece,) = pieces(log, log.digest)
    assert piece.last
    assert (piece.changes, piece.facts, piece.entries) == ((), (), ())


def test_what_changes_at_the_giver_meanwhile_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", 1)
    monkeypatch.setattr(limits, "KB_PIECE_BYTES", 100)
    log = grown(10)
    source = TransferSource(VIEW, log, b"")
    first = source.take()
    changes(log, 5)
    target = TransferTarget(1)
    target.add(first)
    while not (piece := source.take()).last:
        target.add(piece)
    target.add(piece)
    kept = target.snapshot(piece)
    assert kept.clock == (1, 10)
    assert "p(11)" not in kept.theory
    assert "last(10)" in kept.theory


def test_a_piece_out_of_turn_and_one_that_holds_no_fact_are_refused() -> None:
    (piece,) = pieces(grown(1), b"")
    target = TransferTarget(1)
    target.add(piece)
    with pytest.raises(RemoteProtocolError, match="out of turn: want 1"):
        target.add(piece)
    wrong = KbPiece(
        VIEW, 0, True, True, (), (("p(", 1, 1, "", "", 0.0),), (), (), (1, 1), b"", 1, b"", 1
    )
    with pytest.raises(RemoteProtocolError, match="no fact"):
        TransferTarget(1).add(wrong)


def test_a_voter_is_near_while_its_log_is_kept_a_newcomer_if_it_lacks_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", 50)
    log, early = grown(80), grown(40)

    def at(other: Log) -> KbStanding:
        place = (other.epoch, other.end, other.end_chain, other.clock, other.digest)
        return KbStanding(VIEW, "node", None, (), *place)

    monkeypatch.setattr(limits, "KB_QUICK_BYTES", 100)
    assert is_near(log, at(log), is_voter=False)
    assert is_near(log, at(early), is_voter=True)
    assert not is_near(log, at(early), is_voter=False)
    assert not is_near(log, at(grown(10)), is_voter=True)
    monkeypatch.setattr(limits, "KB_QUICK_BYTES", 1 << 20)
    assert is_near(log, at(early), is_voter=False)
