"""Faults to plant in the steps of drains and of groups, and the checks that must find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import test_draining_steps as drains
import test_regrouping as groups

from zactor.supervisor.kb import node_marks, restart_groups
from zactor.supervisor.kb.restart_groups import RestartGroup
from zactor.supervisor.membership import draining, regrouping, setting_aside
from zactor.supervisor.membership.regrouping import GroupRestarts

Patch = pytest.MonkeyPatch


# -- drains ----------------------------------------------------------------------------------
def check_drains() -> None:
    """The quick ones first."""
    drains.test_at_its_deadline_all_stop_at_once_and_one_that_is_destroyed_stays_so()
    drains.test_one_that_failed_moves_without_stopping_first()
    for also in (("n2",), ()):
        drains.test_who_may_run_elsewhere_moves_and_the_rest_is_lost(also)


def _nobody_moves(patch: Patch) -> None:
    patch.setattr(draining, "_elsewhere", lambda theory, row, live: None)


def _drained_nodes_are_chosen(patch: Patch) -> None:
    patch.setattr(node_marks, "is_drained", lambda theory, node: False)


def _the_oldest_stops_first(patch: Patch) -> None:
    patch.setattr(draining, "max", min, raising=False)


def _all_stop_at_the_same_time(patch: Patch) -> None:
    def aside(theory: Any, node: str, rows: Any, drain_s: float | None) -> Any:
        every = [row for row in draining.facts.actors(theory, node) if row.state == "running"]
        return plain(theory, node, every, drain_s)

    plain = draining._aside
    patch.setattr(draining, "_aside", aside)


def _who_is_set_aside_is_destroyed(patch: Patch) -> None:
    patch.setattr(node_marks, "aside", lambda theory, actor: None)


def _what_a_person_destroys_is_set_aside(patch: Patch) -> None:
    patch.setattr(setting_aside.node_marks, "aside", lambda theory, actor: "as it was")


def _wires_stay_up(patch: Patch) -> None:
    patch.setattr(setting_aside.facts, "wires", lambda theory, **_: [])


def _nobody_is_hurried_who_stops(patch: Patch) -> None:
    patch.setattr(draining, "BUSY", ("starting", "running"))


def _who_has_failed_stops_first(patch: Patch) -> None:
    patch.setattr(draining, "actor_patterns", lambda name: ())


DRAINS = [
    _nobody_moves,
    _drained_nodes_are_chosen,
    _the_oldest_stops_first,
    _all_stop_at_the_same_time,
    _who_is_set_aside_is_destroyed,
    _what_a_person_destroys_is_set_aside,
    _wires_stay_up,
    _nobody_is_hurried_who_stops,
    _who_has_failed_stops_first,
]


# -- groups ----------------------------------------------------------------------------------
def check_groups() -> None:
    """The quick ones first."""
    groups.test_actors_of_a_group_that_restarts_are_left_to_it()
    for strategy in ("one_for_all", "rest_for_one"):
        for name in groups.NAMES:
            groups.test_who_is_affected_stops_in_reverse_and_starts_in_order(strategy, name)
    groups.test_more_often_than_its_intensity_all_that_is_affected_has_failed()
    groups.test_a_node_that_dies_and_returns_restarts_the_group_and_counts_for_nothing()
    groups.test_what_a_person_destroys_meanwhile_stays_so()
    groups.test_a_group_that_goes_while_it_restarts_leaves_its_actors_to_themselves()
    groups.test_two_that_fail_at_any_two_moments_end_well("one_for_all")


def _all_restart_where_the_rest_should(patch: Patch) -> None:
    patch.setattr(RestartGroup, "affected", lambda self, actor: self.actors)


def _the_rest_restarts_where_all_should(patch: Patch) -> None:
    patch.setattr(
        RestartGroup, "affected", lambda self, actor: self.actors[self.actors.index(actor) :]
    )


def _they_stop_in_the_order_of_the_file(patch: Patch) -> None:
    patch.setattr(regrouping, "reversed", tuple, raising=False)


def _they_start_in_reverse(patch: Patch) -> None:
    affected = RestartGroup.affected
    patch.setattr(RestartGroup, "affected", lambda self, actor: affected(self, actor)[::-1])


def _they_start_at_the_same_time(patch: Patch) -> None:
    def step(theory: Any, group: Any, regroups: Any, names: Any, place: Any, *more: Any) -> Any:
        if regroups[0].phase == restart_groups.START:
            names = tuple(name for name in names if place_is_due(theory, name))
        return plain(theory, group, regroups, names, place, *more)

    def place_is_due(theory: Any, name: str) -> bool:
        return regrouping.facts.actor(theory, name) is None

    plain = regrouping._step
    patch.setattr(regrouping, "_step", step)


def _nobody_waits_before_the_next_restart(patch: Patch) -> None:
    patch.setattr(GroupRestarts, "left_s", lambda self, group, now_s: 0.0)


def _no_intensity_is_too_much(patch: Patch) -> None:
    patch.setattr(GroupRestarts, "verdict", lambda *_: "")


def _losses_with_a_node_count(patch: Patch) -> None:
    def verdict(self: GroupRestarts, group: Any, regroup: Any, now_s: float) -> str:
        return plain(self, group, replace(regroup, cause=restart_groups.FAILED), now_s)

    plain = GroupRestarts.verdict
    patch.setattr(GroupRestarts, "verdict", verdict)


def _only_who_failed_has_failed_in_the_end(patch: Patch) -> None:
    fail = regrouping._fail
    patch.setattr(
        regrouping, "_fail", lambda theory, regroup, names: fail(theory, regroup, names[:1])
    )


def _it_has_no_end(patch: Patch) -> None:
    patch.setattr(regrouping, "_end", lambda regroup, why: None)


def _who_is_lost_is_placed_alone(patch: Patch) -> None:
    patch.setattr(regrouping, "begin", lambda theory, row: None)


def _others_place_them_meanwhile(patch: Patch) -> None:
    patch.setattr(restart_groups, "under_way", lambda theory: set())


GROUPS = [
    _all_restart_where_the_rest_should,
    _the_rest_restarts_where_all_should,
    _they_stop_in_the_order_of_the_file,
    _they_start_in_reverse,
    _they_start_at_the_same_time,
    _nobody_waits_before_the_next_restart,
    _no_intensity_is_too_much,
    _losses_with_a_node_count,
    _only_who_failed_has_failed_in_the_end,
    _it_has_no_end,
    _who_is_lost_is_placed_alone,
    _others_place_them_meanwhile,
]
