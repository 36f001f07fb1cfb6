"""What a client was told to have taken place outlives every order of cuts (K1, K2)."""

from __future__ import annotations

import pytest
from kb_steered import AttemptView, PromiseBroken, Steered, promised

NAMES = ("n1", "n2", "n3", "n4", "n5")


def assert_all_are_one_again(cluster: Steered) -> None:
    cluster.heal_all()
    cluster.run_ms(8_000)
    names = tuple(cluster.live)
    assert all(cluster.members(name) == names for name in names)


def promise_that_nothing_acknowledged_is_lost(cluster: Steered) -> None:
    wrong = cluster.violations()
    promised(not wrong, "; ".join(wrong))
    acknowledged = [id_ for id_ in cluster.decided if cluster.is_acknowledged(id_)]
    for name in cluster.live:
        lost = [id_ for id_ in acknowledged if f"did({id_})" not in cluster.facts(name)]
        promised(not lost, f"{lost} were acknowledged, and are gone at {name}")


@pytest.mark.xfail(
    strict=True,
    raises=PromiseBroken,
    reason="an entry of an older epoch is decided when a primary is formed, though logs that hold"
    " it rank by that older epoch and lose against a longer tail",
)
def test_a_change_that_the_new_primary_decides_stays_whoever_forms_the_next_one() -> None:
    """{n1, n2, n3} | {n4, n5}, then n1 alone | the rest; nothing crashes, no disk is lost."""
    cluster = Steered(*NAMES)
    cluster.found(*NAMES)
    cluster.change("n4", "t0", "t1", "t2")
    cluster.run_ms(2.5)  # they are on their way to n5; both sides have changes that end undecided
    cluster.part(NAMES[:3], NAMES[3:])
    cluster.change("n1", "u1")
    cluster.busy_ms["n2"] = 300.0  # so the last word for the attempt is n2's
    cluster.until(lambda: cluster.view("n1") == 3)
    at_n1, at_n2 = AttemptView(cluster, "n1"), AttemptView(cluster, "n2")
    # What follows steers towards one moment. A protocol that never comes to it is as good.
    cluster.comes(lambda: at_n1.lacks_one_word(3), 2_000)
    sent = at_n2.messages_sent()
    cluster.comes(lambda: at_n2.messages_sent() > sent, 2_000)
    cluster.cut("n1", "n2")  # n1 hears that all have heard n2, they don't hear that n1 has
    cluster.cut("n1", "n3")
    cluster.comes(lambda: cluster.is_primary("n1"), 1_000)
    cluster.cut("n2", "n1")
    cluster.cut("n3", "n1")
    cluster.busy_ms.clear()
    cluster.until(lambda: cluster.view("n2") == 2 and cluster.view("n1") == 1)
    cluster.run_ms(1_500)
    cluster.join(("n2", "n3"), ("n4", "n5"))
    cluster.until(lambda: cluster.members("n2") == NAMES[1:] == cluster.members("n4"))
    assert_all_are_one_again(cluster)
    promise_that_nothing_acknowledged_is_lost(cluster)


@pytest.mark.xfail(
    strict=True,
    raises=PromiseBroken,
    reason="an attempt that was struck out is forgotten, and the next primary takes its epoch"
    " again: two histories are of one number, and the longer one counts",
)
def test_a_number_that_an_attempt_has_used_is_never_that_of_another() -> None:
    """n5 stops; the word of n1 for the attempt without n5 is the last, and n1 is cut off."""
    cluster = Steered(*NAMES)
    cluster.found(*NAMES)
    cluster.change("n1", "t0")
    cluster.until(lambda: cluster.is_acknowledged("t0"))
    cluster.run_ms(200)
    cluster.busy_ms["n1"] = 250.0
    cluster.retire("n5")
    cluster.run_ms(40)
    cluster.part(("n1",), NAMES[1:])
    cluster.run_ms(220)
    cluster.change("n1", "u0", "u1", "u2")  # these are behind its word, and reach nobody
    cluster.run_ms(100)
    cluster.busy_ms.clear()
    cluster.stop("n5")
    cluster.run_ms(4_000)
    cluster.change("n2", "x")
    cluster.until(lambda: cluster.is_acknowledged("x"), 1_000)
    assert_all_are_one_again(cluster)
    promise_that_nothing_acknowledged_is_lost(cluster)
