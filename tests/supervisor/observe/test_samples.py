"""Samples: each reader gets what differs from what it knows, or all where that is unknown."""

from __future__ import annotations

from zactor.kernel import limits
from zactor.kernel.runtime.cell_report import CellCounts
from zactor.supervisor.observe.samples import Samples


def counts(uid: int, handled: int = 0, **routes: int) -> CellCounts:
    return CellCounts(uid, f"a{uid}", "t", (handled, 0, 0, 0.0), tuple(routes.items()))


def names(rows: list[CellCounts]) -> list[str]:
    return sorted(row.name for row in rows)


def test_who_knows_nothing_gets_all() -> None:
    samples = Samples(100)
    samples.take([counts(1), counts(2)])
    found = samples.since(0)
    assert found.is_whole
    assert names(found.actors) == names(found.begun) == ["a1", "a2"]


def test_who_knows_the_last_sample_gets_nothing_but_what_changed() -> None:
    samples = Samples(100)
    samples.take([counts(1), counts(2)])
    known = samples.number
    samples.take([counts(1), counts(2, 5)])
    found = samples.since(known)
    assert not found.is_whole
    assert names(found.actors) == ["a2"]
    assert found.begun == found.gone == []


def test_of_an_actor_that_changed_only_the_signals_that_were_sent_are_told() -> None:
    samples = Samples(0)
    samples.take([counts(1, tick=1, tock=1)])
    known = samples.number
    samples.take([counts(1, tick=2, tock=1)])
    assert samples.since(known).actors[0].routes == (("tick", 2),)
    assert samples.since(0).actors[0].routes == (("tick", 2), ("tock", 1))


def test_an_actor_that_ended_is_told_by_name_and_a_new_one_with_its_kind() -> None:
    samples = Samples(0)
    samples.take([counts(1), counts(2)])
    known = samples.number
    samples.take([counts(2), counts(3)])
    found = samples.since(known)
    assert found.gone == ["a1"]
    assert names(found.begun) == ["a3"]


def test_a_sample_of_another_life_or_of_the_future_is_not_believed() -> None:
    samples = Samples(1_000)
    samples.take([counts(1)])
    assert samples.since(7).is_whole
    assert samples.since(5_000).is_whole


def test_who_may_have_missed_an_end_gets_all() -> None:
    samples = Samples(0)
    samples.take([counts(1)])
    known = samples.number
    for uid in range(2, limits.SAMPLE_GONE_KEPT + 4):
        samples.take([counts(uid)])
    assert samples.since(known).is_whole
    assert not samples.since(samples.number).is_whole
