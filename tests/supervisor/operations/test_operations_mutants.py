"""Operations with a planted fault, which the checks of operations_runs.py must find."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from operations_runs import (
    HOST,
    check_all,
)

from zactor.supervisor.kb import orders
from zactor.supervisor.kb.fact_patterns import still
from zactor.supervisor.membership import departures
from zactor.supervisor.operations import destroy, todo_runner
from zactor.supervisor.operations.workflow import Step, Workflow


def _todo_table(monkeypatch: pytest.MonkeyPatch, *steps: Step[Any]) -> None:
    workflow: Workflow[Any] = Workflow("destroy_todo", steps)
    monkeypatch.setattr(destroy, "DESTROY_TODO", workflow)
    monkeypatch.setattr(todo_runner, "DESTROY_TODO", workflow)
    run_ = tuple(step.name for step in steps if step.name != "write")
    monkeypatch.setattr(todo_runner, "_RUN", run_)


def _step(name: str) -> Step[Any]:
    return next(step for step in destroy.DESTROY_TODO.steps if step.name == name)


def _clause_goes_first(patch: pytest.MonkeyPatch) -> None:
    _todo_table(patch, *map(_step, ("write", "clear", "unwire", "stop", "finish")))


def _clause_goes_before_the_work_is_done(patch: pytest.MonkeyPatch) -> None:
    _todo_table(patch, *map(_step, ("write", "unwire", "stop", "clear", "finish")))


def _clause_stays(patch: pytest.MonkeyPatch) -> None:
    _todo_table(patch, *map(_step, ("write", "unwire", "stop", "finish")))


def _references_stay(patch: pytest.MonkeyPatch) -> None:
    _todo_table(patch, *map(_step, ("write", "stop", "finish", "clear")))


def _references_go_last(patch: pytest.MonkeyPatch) -> None:
    _todo_table(patch, *map(_step, ("write", "stop", "finish", "unwire", "clear")))


def _actor_is_not_stopped(patch: pytest.MonkeyPatch) -> None:
    _todo_table(patch, *map(_step, ("write", "unwire", "clear")))


def _assignee_never_watches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(todo_runner, "is_mine", lambda todo, me, roles: todo.owner == me)


def _nobody_names_another_assignee(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(todo_runner, "is_orphan", lambda todo, roles: False)


def _assignee_is_the_host(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(todo_runner, "choose_assignee", lambda roles, **_: (HOST, ""))
    patch.setattr(todo_runner, "is_orphan", lambda todo, roles: False)


def _everybody_writes_that_it_is_done(patch: pytest.MonkeyPatch) -> None:
    class Everybody(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return True

    patch.setattr(todo_runner, "witness", lambda todo, lives: Everybody())


def _forgetting_leaves_references(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(departures, "_wires_of", lambda theory, names: [])
    patch.setattr(departures, "_require", lambda row: [still(row)])


def _a_clause_leaves_what_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(destroy, "orders", SimpleNamespace(lost=lambda *_: None, absent=orders.absent))


MUTANTS = [
    _clause_goes_first,
    _clause_goes_before_the_work_is_done,
    _clause_stays,
    _references_stay,
    _references_go_last,
    _actor_is_not_stopped,
    _assignee_never_watches,
    _nobody_names_another_assignee,
    _assignee_is_the_host,
    _everybody_writes_that_it_is_done,
    _forgetting_leaves_references,
    _a_clause_leaves_what_is_lost,
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_checks_find_a_fault(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises((AssertionError, TypeError, KeyError)) as found:
        check_all("destroy_todo", range(1))
    print(str(found.value).splitlines()[0])
