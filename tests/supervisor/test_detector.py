"""The silence detector, by events alone."""

from __future__ import annotations

from zactor.supervisor.detector import Detector


def detector() -> Detector:
    return Detector(tick_ms=100, silence_ms=600)


def test_a_node_that_goes_on_beating_is_never_silent() -> None:
    watch = detector()
    for now in range(0, 5_000, 100):
        watch.heard("n1", now)
        assert watch.tick(now) == []


def test_a_silent_node_is_named_once_its_time_is_over_and_only_once() -> None:
    watch = detector()
    watch.tick(0)
    watch.heard("n1", 0)
    named = [(now, watch.tick(now)) for now in range(100, 1_500, 100)]
    assert [(now, who) for now, who in named if who] == [(600, ["n1"])]


def test_who_slept_does_not_accuse_the_others() -> None:
    watch = detector()
    watch.tick(0)
    watch.heard("n1", 0)
    assert watch.tick(5_000) == [], "our own tick came 4,900 ms late"
    assert watch.lag_ms == 4_900
    assert watch.tick(5_100) == []
    assert [watch.tick(now) for now in range(5_200, 5_600, 100)] == [[], [], [], ["n1"]]


def test_a_forgotten_node_is_not_watched() -> None:
    watch = detector()
    watch.heard("n1", 0)
    watch.forget("n1")
    assert watch.tick(10_000) == []


def test_several_silent_nodes_come_sorted() -> None:
    watch = detector()
    for name in ("n3", "n1", "n2"):
        watch.heard(name, 0)
    for now in range(0, 600, 100):
        assert watch.tick(now) == []
    assert watch.tick(600) == ["n1", "n2", "n3"]
