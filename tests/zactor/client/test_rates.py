"""Rates: totals of samples become numbers a second; what isn't told again has not changed."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from zactor.client.rates import Rates
from zactor.kernel.errors import RemoteProtocolError
from zactor.supervisor.observe.metrics import ActorCounts, ActorKind, NodeCounts


def part(sample: int, at_s: float, actors: Mapping[str, int], **more: object) -> object:
    """What a node tells: of each actor how much it has handled."""
    fields: dict[str, object] = {
        "node": "n1",
        "sample": sample,
        "is_whole": False,
        "at_s": at_s,
        "pid": 1,
        "up_s": 1.0,
        "cpu_s": at_s / 4,
        "memory_bytes": 1 << 20,
        "late_ms": 0,
        "dead_letters": 0,
        "failed_actions": 0,
        "actors": [ActorCounts(name=name, handled=count) for name, count in actors.items()],
        "begun": [],
        "gone": [],
        **more,
    }
    return msgspec.to_builtins([NodeCounts(**fields)])  # type: ignore[arg-type]  # a table of fields


def begun(*names: str) -> list[ActorKind]:
    return [ActorKind(name=n, type="t", signals=[], actions=[], has_panel=False) for n in names]


def test_the_first_sample_has_no_rates_and_the_second_has() -> None:
    rates = Rates()
    rates.take(part(1, 10.0, {"a": 100}, is_whole=True, begun=begun("a")))
    assert rates.actors["a"].received_rate == 0
    assert rates.after == {"n1": 1}
    rates.take(part(2, 10.5, {"a": 150}))
    assert rates.actors["a"].received_rate == 100
    assert rates.nodes["n1"].cpu == 0.25


def test_who_is_not_told_again_has_come_to_rest() -> None:
    rates = Rates()
    rates.take(part(1, 10.0, {"a": 0}, is_whole=True, begun=begun("a")))
    rates.take(part(2, 10.5, {"a": 50}))
    for number in range(3, 20):
        rates.take(part(number, 10.0 + number / 2, {}))
    assert rates.actors["a"].received_rate == 0
    assert rates.actors["a"].handled == 50


def test_the_same_sample_again_changes_nothing() -> None:
    rates = Rates()
    rates.take(part(1, 10.0, {"a": 0}, is_whole=True, begun=begun("a")))
    rates.take(part(2, 10.5, {"a": 50}))
    rates.take(part(2, 10.5, {}))
    assert rates.actors["a"].received_rate == 100


def test_a_new_life_of_a_node_begins_anew() -> None:
    rates = Rates()
    rates.take(part(1, 10.0, {"a": 9}, is_whole=True, begun=begun("a")))
    rates.take(part(1_000, 1.0, {"b": 1}, is_whole=True, begun=begun("b")))
    assert list(rates.actors) == ["b"]
    assert rates.actors["b"].received_rate == 0


def test_a_node_that_went_goes_with_its_actors() -> None:
    rates = Rates()
    rates.take(part(1, 10.0, {"a": 9}, is_whole=True, begun=begun("a")))
    rates.forget([])
    assert not rates.nodes
    assert not rates.actors


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="no counts"):
        Rates().take([{"node": "n1"}])
