"""Nodes that have much to take of a history: they get there, and hold up nobody meanwhile."""

from __future__ import annotations

import pytest
from kb_steered import Steered, promised

from zactor.kernel import limits

DELAY_MS = 25.0  # one way: each piece costs a round trip
PIECE_BYTES = 2_000  # small pieces for a small history
BATCH = 20


def write_much(cluster: Steered, at: str, count: int) -> None:
    """Change the knowledge base so often, and see each change acknowledged."""
    ids = [f"b{number}" for number in range(count)]
    for begin in range(0, count, BATCH):
        cluster.change(at, *ids[begin : begin + BATCH])
        cluster.run_ms(200)
    cluster.until(lambda: all(cluster.is_acknowledged(id_) for id_ in ids))


def test_a_member_that_was_away_for_long_does_not_stop_a_majority_that_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "KB_PIECE_BYTES", PIECE_BYTES)
    monkeypatch.setattr(limits, "KB_QUICK_BYTES", 5 * PIECE_BYTES)
    cluster = Steered("n1", "n2", "n3", delay_ms=DELAY_MS)
    cluster.found("n1", "n2", "n3")
    cluster.crash("n3", refused=True)
    cluster.until(lambda: cluster.members("n1") == ("n1", "n2"))
    write_much(cluster, "n1", 1_000)
    cluster.start("n3")
    idle_ms = 0
    asked = [f"w{number}" for number in range(20)]
    for id_ in asked:
        cluster.change("n1", id_)
        for _ in range(20):
            cluster.run_ms(25)
            idle_ms += 25 * (not cluster.is_primary("n1"))
    cluster.until(lambda: cluster.members("n3") == ("n1", "n2", "n3"), 60_000)
    assert all(id_ in cluster.decided for id_ in asked)
    refused = [id_ for id_ in asked if not cluster.is_acknowledged(id_)]
    promised(not refused and idle_ms <= 1_000, f"no changes for {idle_ms} ms; refused: {refused}")


def test_a_newcomer_is_brought_up_while_another_node_comes_and_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "KB_PIECE_BYTES", PIECE_BYTES)
    monkeypatch.setattr(limits, "KB_QUICK_BYTES", 0)  # all that is to be taken goes in pieces
    cluster = Steered("n1", "n2", "n3", "n4", delay_ms=DELAY_MS)
    cluster.found("n1", "n2")
    write_much(cluster, "n1", 600)
    cluster.start("n3")
    rounds = 0
    while rounds < 20 and not cluster.is_primary("n3"):
        cluster.start("n4")  # as a supervisor does it, while something fails at the start
        cluster.run_ms(1_000)
        cluster.crash("n4", refused=True)
        cluster.run_ms(500)
        rounds += 1
    cluster.until(lambda: cluster.is_primary("n3"))  # in the end n4 rests
    assert cluster.facts("n3") == cluster.facts("n1")
    promised(rounds < 20, f"n3 wasn't in after {rounds} views of others")
