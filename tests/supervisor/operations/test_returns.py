"""PROTOCOL.md R3 in many worlds: who is cut off and comes back has his actors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from returns_runs import check_all

from zactor.supervisor.deployment.reconciler import Reconciler
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.fact_patterns import still
from zactor.supervisor.membership import departures

FAST = 10
SLOW = 400


def test_actors_of_a_living_process_go_on_unless_somebody_decided_otherwise() -> None:
    assert check_all(range(FAST)) > FAST // 2, "actors were taken back"


@pytest.mark.slow
def test_actors_go_on_in_more_worlds() -> None:
    check_all(range(FAST, SLOW))


# -- faults that must be found ---------------------------------------------------------------
def _ends_what_the_theory_has_no_more(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "standing", lambda theory, name, me: facts.actor(theory, name))


def _comes_back_as_another_incarnation(patch: pytest.MonkeyPatch) -> None:
    _change(patch, "_take_back", lambda text: not text.startswith("born("))


def _is_never_taken_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departures, "_returns", lambda theory, known: iter(()))


def _wires_stay_down(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departures, "_mend", lambda theory: iter(()))


def _is_forgotten_as_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departures, "_is_wanted", lambda theory, row, in_groups: False)


def _any_life_will_do(patch: pytest.MonkeyPatch) -> None:
    """Another life of the node has nothing to take back; here: a life too early."""
    lost_facts = orders.lost_facts
    patch.setattr(orders, "lost_facts", lambda row, life, why: lost_facts(row, life - 1, why))


def _a_wire_added_meanwhile_slips_through(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departures, "_wires_of", lambda theory, names: [])
    patch.setattr(departures, "_require", lambda row: [still(row)])


def _a_new_order_leaves_the_old_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "lost_patterns", lambda name: ())


def _what_ended_by_itself_is_made_again(patch: pytest.MonkeyPatch) -> None:
    def forgets(self: Any, name: str, uid: int) -> None:
        on_ended(self, name, uid)
        self._over.clear()

    on_ended = Reconciler.on_ended
    patch.setattr(Reconciler, "on_ended", forgets)


def _nobody_says_that_it_runs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciler, "_confirm", lambda self, row, here: None)


def _what_was_destroyed_is_wanted_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departures, "_KEPT", ("starting", "running", "stopping"))


def _change(patch: pytest.MonkeyPatch, name: str, keeps: Callable[[str], bool]) -> None:
    """Have a sweep assert only what `keeps` says."""
    function = getattr(departures, name)

    def changed(*args: Any) -> departures.Sweep:
        sweep: departures.Sweep = function(*args)
        return replace(sweep, assert_=tuple(filter(keeps, sweep.assert_)))

    patch.setattr(departures, name, changed)


MUTANTS = [
    _ends_what_the_theory_has_no_more,
    _comes_back_as_another_incarnation,
    _is_never_taken_back,
    _wires_stay_down,
    _is_forgotten_as_before,
    _any_life_will_do,
    _a_wire_added_meanwhile_slips_through,
    _a_new_order_leaves_the_old_one,
    _what_ended_by_itself_is_made_again,
    _nobody_says_that_it_runs,
    _what_was_destroyed_is_wanted_back,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_checks_find_a_fault(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError) as found:
        check_all(range(SLOW))
    print(str(found.value).splitlines()[0])
