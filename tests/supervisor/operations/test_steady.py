"""Drained nodes and groups that restart together, in many worlds; and faults that must be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from steady_runs import check_all, check_long_cuts, check_long_moves, check_moves

from zactor.supervisor.deployment import reconciler
from zactor.supervisor.deployment.actor_reports import ActorReports
from zactor.supervisor.deployment.reconciler import Reconciler
from zactor.supervisor.kb import node_marks, orders, restart_groups
from zactor.supervisor.kb.restart_groups import RestartGroup
from zactor.supervisor.membership import departures, draining, keeping, regrouping, setting_aside
from zactor.supervisor.membership.departures import Sweep

FAST = 8
SLOW = 300
FINDS = 60
# "It runs", said while cut off, came last; who was wanted back was forgotten; who failed just as
# its group was told to start again was left out.
RARE = (122, 138, 340, 507)


def test_each_runs_where_it_may_and_once_and_groups_restart_together() -> None:
    assert check_all(range(FAST)) > FAST, "groups were restarted"


def test_so_they_do_where_it_once_went_wrong() -> None:
    check_all(RARE)


@pytest.mark.slow
@pytest.mark.limit(1_500)
def test_so_they_do_in_more_worlds() -> None:
    check_all(range(FAST, SLOW))


def test_who_is_cut_off_while_it_moves_runs_nowhere_else_until_that_is_proved() -> None:
    check_moves()


def test_none_runs_twice_while_silence_counts_and_files_change() -> None:
    check_long_cuts(range(FAST))


@pytest.mark.slow
@pytest.mark.limit(900)
def test_nor_in_more_worlds() -> None:
    check_long_cuts(range(FAST, 100))


def test_who_moves_and_is_cut_off_for_long_ends_its_work_in_time() -> None:
    check_long_moves()


# -- faults that must be found ---------------------------------------------------------------
def _drained_nodes_are_chosen(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node_marks, "is_drained", lambda theory, node: False)


def _a_drain_stops_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(draining, "_aside", lambda *_: None)


def _who_is_set_aside_is_destroyed(patch: pytest.MonkeyPatch) -> None:
    _without(patch, setting_aside, "set_aside", "aside(")


def _wires_of_who_is_set_aside_go(patch: pytest.MonkeyPatch) -> None:
    _without(patch, setting_aside, "set_aside", "down(")


def _who_stops_is_set_aside_though_it_is_replaced(patch: pytest.MonkeyPatch) -> None:
    async def nobody(self: Reconciler, row: object) -> bool:
        return False

    patch.setattr(Reconciler, "_succeed", nobody)


def _nobody_is_set_aside(patch: pytest.MonkeyPatch) -> None:
    async def nobody(self: ActorReports, row: object) -> bool:
        return False

    patch.setattr(ActorReports, "set_aside", nobody)


def _all_of_a_group_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RestartGroup, "affected", lambda self, actor: self.actors)


def _one_of_a_group_restarts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(restart_groups, "of", lambda theory, actor: None)


def _who_failed_restarts_alone_with_those_behind(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        RestartGroup, "affected", lambda self, actor: self.actors[self.actors.index(actor) :]
    )


def _they_stop_in_the_order_of_the_file(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(regrouping, "reversed", tuple, raising=False)


def _they_start_in_reverse(patch: pytest.MonkeyPatch) -> None:
    affected = RestartGroup.affected
    patch.setattr(RestartGroup, "affected", lambda self, actor: affected(self, actor)[::-1])


def _nobody_stops_first(patch: pytest.MonkeyPatch) -> None:
    def step(theory: Any, group: Any, regroup: Any, names: Any, *more: Any) -> Any:
        if regroup.phase == restart_groups.STOP:
            names = (regroup.actor,)
        return plain(theory, group, regroup, names, *more)

    plain = regrouping._step
    patch.setattr(regrouping, "_step", step)


def _a_restart_has_no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(regrouping, "_end", lambda regroup, why: None)


def _others_are_placed_while_a_group_restarts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(restart_groups, "under_way", lambda theory: set())
    patch.setattr(regrouping, "begin", lambda theory, row: None)


def _who_failed_is_forgotten_with_its_node(patch: pytest.MonkeyPatch) -> None:
    def is_wanted(theory: Any, row: Any, in_groups: Any) -> bool:
        return wanted(theory, row, ())

    wanted = departures._is_wanted
    patch.setattr(departures, "_is_wanted", is_wanted)
    patch.setattr(departures, "_is_kept", lambda theory, name: False)


def _what_comes_back_begins_while_it_stops(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Reconciler, "_is_stopping", lambda self, row: False)


def _what_is_wanted_again_is_forgotten_when_it_has_stopped(patch: pytest.MonkeyPatch) -> None:
    async def forgets(self: Any, row: Any, remains: str | None = None, **_: object) -> None:
        await forget(self, row, remains)

    forget = ActorReports.forget
    patch.setattr(ActorReports, "forget", forgets)


def _without(patch: pytest.MonkeyPatch, module: Any, name: str, start: str) -> None:
    """Have a sweep leave out the facts that begin so."""
    function = getattr(module, name)

    def changed(*args: Any, **more: Any) -> Sweep:
        sweep: Sweep = function(*args, **more)
        return replace(sweep, assert_=tuple(f for f in sweep.assert_ if not f.startswith(start)))

    for user in (module, draining, regrouping):
        if getattr(user, name, None) is function:
            patch.setattr(user, name, changed)


MUTANTS = [
    _drained_nodes_are_chosen,
    _a_drain_stops_nobody,
    _who_is_set_aside_is_destroyed,
    _wires_of_who_is_set_aside_go,
    _who_stops_is_set_aside_though_it_is_replaced,
    _nobody_is_set_aside,
    _all_of_a_group_restart,
    _one_of_a_group_restarts,
    _who_failed_restarts_alone_with_those_behind,
    _they_stop_in_the_order_of_the_file,
    _they_start_in_reverse,
    _nobody_stops_first,
    _a_restart_has_no_end,
    _others_are_placed_while_a_group_restarts,
    _who_failed_is_forgotten_with_its_node,
    _what_comes_back_begins_while_it_stops,
    _what_is_wanted_again_is_forgotten_when_it_has_stopped,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_checks_find_a_fault(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, TimeoutError)) as found:
        check_all(range(FINDS))
    print(str(found.value).splitlines()[0])


# Of moves, in check_moves.
def _silence_proves_an_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(keeping.Silences, "is_safe", lambda *_: True)


def _who_is_replaced_is_not_remembered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(orders, "lost_facts", lambda row, life, why: ())


@pytest.mark.parametrize("mutant", [_silence_proves_an_end, _who_is_replaced_is_not_remembered])
def test_the_checks_find_a_fault_of_moves(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError) as found:
        check_moves()
    print(str(found.value).splitlines()[0])


# Of long cuts.
def _silence_proves_the_end_of_who_knows_nothing(patch: pytest.MonkeyPatch) -> None:
    def is_safe(silences: Any, row: orders.LostRow, *seen: Any) -> bool:
        return plain(silences, replace(row, yields=True), *seen)

    plain = keeping.Silences.is_safe
    patch.setattr(keeping.Silences, "is_safe", is_safe)


def _nobody_ends_what_may_run_elsewhere(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reconciler, "must_end", lambda *_: False)


@pytest.mark.parametrize(
    ("mutant", "seeds"),
    [
        (_silence_proves_the_end_of_who_knows_nothing, range(8)),
        (_nobody_ends_what_may_run_elsewhere, range(8)),
    ],
)
def test_the_checks_find_a_fault_of_long_cuts(
    mutant: Callable[[pytest.MonkeyPatch], None], seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError, match="while it ran"):
        check_long_cuts(seeds)


def test_who_goes_on_with_its_work_though_cut_off_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def park(self: Reconciler) -> None:
        stopping, self._stopping = self._stopping, {}
        plain(self)
        self._stopping = stopping

    plain = Reconciler._park
    monkeypatch.setattr(Reconciler, "_park", park)
    with pytest.raises(AssertionError, match="while it ran"):
        check_long_moves()
