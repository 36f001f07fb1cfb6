"""The silence detector, by events alone."""

from __future__ import annotations

from zactor.supervisor.detector import Detector


def detector() -> Detector:
    return Detector(tick_ms=100, silence_ms=600, stuck_ms=2_000)


def test_a_node_that_goes_on_beating_is_never_silent() -> None:
    watch = detector()
    for now in range(0, 5_000, 100):
        watch.heard("n1", now)
        assert watch.tick(now, ["n1"]) == []


def test_a_silent_node_with_a_broken_connection_is_named_once() -> None:
    watch = detector()
    watch.tick(0, [])
    watch.heard("n1", 0)
    named = [(now, watch.tick(now, ["n1"])) for now in range(100, 1_500, 100)]
    assert [(now, who) for now, who in named if who] == [(600, ["n1"])]


def test_a_silent_node_whose_connection_lives_gets_more_time() -> None:
    watch = detector()
    watch.tick(0, [])
    watch.heard("n1", 0)
    named = [(now, watch.tick(now, [])) for now in range(100, 3_000, 100)]
    assert [(now, who) for now, who in named if who] == [(2_000, ["n1"])]


def test_who_slept_does_not_accuse_the_others() -> None:
    watch = detector()
    watch.tick(0, ["n1"])
    watch.heard("n1", 0)
    assert watch.tick(5_000, ["n1"]) == [], "our own tick came 4,900 ms late"
    assert watch.lag_ms == 4_900
    assert watch.tick(5_100, ["n1"]) == []
    later = [(now, watch.tick(now, ["n1"])) for now in range(5_200, 6_000, 100)]
    assert [(now, who) for now, who in later if who] == [(5_500, ["n1"])]


def test_a_forgotten_node_is_not_watched() -> None:
    watch = detector()
    watch.heard("n1", 0)
    watch.forget("n1")
    assert watch.tick(10_000, ["n1"]) == []


def test_several_silent_nodes_come_sorted() -> None:
    watch = detector()
    names = ("n3", "n1", "n2")
    for name in names:
        watch.heard(name, 0)
    for now in range(0, 600, 100):
        assert watch.tick(now, names) == []
    assert watch.tick(600, names) == ["n1", "n2", "n3"]
