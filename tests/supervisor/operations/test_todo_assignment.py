"""Who runs a clause, who is to finish it, and who writes down that it is done."""

from __future__ import annotations

from zactor.kernel.ids import ORIGIN, NodeId
from zactor.supervisor.kb.facts import TodoRow
from zactor.supervisor.operations.todo_assignment import (
    choose_assignee,
    is_mine,
    is_orphan,
    witness,
)

ROLES = {"m1": ("master", 1), "n1": ("node", 1), "n2": ("node", 3), "n3": ("node", 1)}


def todo(assignee: str = "n2", owner: str = "m1", life: int = 1) -> TodoRow:
    return TodoRow(
        id="t1",
        name="c1",
        deployment="d1",
        drain="",
        owner=NodeId(owner, life),
        assignee=assignee,
        since=ORIGIN,
    )


def without(*names: str) -> dict[str, tuple[str, int]]:
    return {name: role for name, role in ROLES.items() if name not in names}


def chosen(*gone: str, others: tuple[TodoRow, ...] = (), owner: str = "m1") -> tuple[str, str]:
    return choose_assignee(without(*gone), actor_node="n1", owner=owner, others=others)


def test_the_owner_runs_it_and_the_assignee_only_when_that_life_is_over() -> None:
    assert is_mine(todo(), NodeId("m1", 1), ROLES)
    assert not is_mine(todo(), NodeId("n2", 3), ROLES)
    assert is_mine(todo(), NodeId("n2", 3), without("m1"))
    assert not is_mine(todo(), NodeId("n3", 1), without("m1"))


def test_a_master_that_came_back_is_another_life_and_its_clause_is_the_assignees() -> None:
    back = ROLES | {"m1": ("master", 2)}
    assert not is_mine(todo(), NodeId("m1", 2), back)
    assert is_mine(todo(), NodeId("n2", 3), back)


def test_an_assignee_is_not_the_actors_own_node_nor_the_owner_nor_a_master() -> None:
    assert chosen() == ("n2", "")
    assert chosen("n2") == ("n3", "")


def test_another_master_is_better_than_the_actors_own_node() -> None:
    roles = {"m1": ("master", 1), "m2": ("master", 1), "n1": ("node", 1)}
    assert choose_assignee(roles, actor_node="n1", owner="m1", others=()) == ("m2", "")


def test_the_actors_own_node_is_taken_with_a_note_where_there_is_no_other() -> None:
    name, note = chosen("n2", "n3")
    assert name == "n1"
    assert "hosts the actor itself" in note


def test_who_is_alone_is_its_own_assignee_and_says_so() -> None:
    name, note = chosen("n1", "n2", "n3")
    assert name == "m1"
    assert "no other node" in note
    assert chosen("n1", "n2", "n3", owner="")[0] == "m1"


def test_clauses_are_spread_over_the_nodes() -> None:
    assert chosen(others=(todo("n2"),)) == ("n3", "")
    assert chosen(others=(todo("n2"), todo("n3"))) == ("n2", "")


def test_a_clause_is_an_orphan_when_its_assignee_is_gone_alive_or_not_its_owner() -> None:
    assert not is_orphan(todo(), ROLES)
    assert is_orphan(todo(), without("n2"))
    assert is_orphan(todo(), without("n2", "m1"))


def test_who_writes_that_it_is_done_is_not_who_did_it() -> None:
    lives = {name: life for name, (_, life) in ROLES.items()}
    left = {name: life for name, life in lives.items() if name != "m1"}
    assert witness(todo(), lives) == "n2"
    assert witness(todo(), left) == "n1"
    assert witness(todo("n1"), left) == "n2"
    assert witness(todo(), left | {"m1": 2}) == "m1", "its next life"
    assert witness(todo(), {"n2": 3}) == "n2"
