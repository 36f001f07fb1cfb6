"""A node that holds a cluster's history belongs to that cluster, let in or not."""

from __future__ import annotations

import pytest
from kb_steered import Steered, promised

from zactor.kernel import limits


def test_a_node_that_was_not_let_in_yet_founds_no_cluster_with_its_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "KB_QUICK_BYTES", 0)  # a newcomer takes all before it is let in
    cluster = Steered("n1", "n2")
    cluster.found("n1")
    ids = [f"t{number}" for number in range(5)]
    cluster.change("n1", *ids)
    cluster.until(lambda: all(cluster.is_acknowledged(id_) for id_ in ids))
    cluster.start("n2")
    cluster.until(lambda: all(cluster.disks["n2"].holds(id_) for id_ in ids))
    assert not cluster.is_primary("n2"), "it has all, and isn't let in yet"
    cluster.crash("n2", refused=True)
    cluster.part(("n1",), ("n2",))
    cluster.run_ms(1_500)
    cluster.start("n2")
    cluster.run_ms(2_000)
    if cluster.kbs["n2"].replica.may_be_founded:  # then its node does so, when it finds nobody
        cluster.found_at("n2", "n2/1")
        cluster.run_ms(1_000)
    assert cluster.is_primary("n1")
    promised(not cluster.is_primary("n2"), "n2 takes changes upon the history of n1's cluster")
    cluster.change("n2", "alone")
    cluster.run_ms(2_000)
    refusal = cluster.decided.get("alone")
    promised(refusal is not None and refusal.kind == "NotPrimary", f"not refused: {refusal}")
    cluster.heal_all()
    cluster.run_ms(5_000)
    promised(cluster.members("n2") == ("n1", "n2"), "they are one cluster when they meet")
    promised(cluster.facts("n2") == cluster.facts("n1"), "with one history")
