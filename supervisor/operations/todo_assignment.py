"""Who has to do what about the clauses of the knowledge base: pure decisions.

The life of a node that began is a clause's owner and runs it. When that life leaves the view its
assignee does; and when the assignee isn't there, who acts for the cluster names another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from zactor.kernel.ids import NodeId
from zactor.supervisor.kb.facts import TodoRow
from zactor.supervisor.membership.members import Roles, is_there


def is_mine(todo: TodoRow, me: NodeId, roles: Roles) -> bool:
    """Whether `me` has to run `todo` now."""
    if todo.owner == me:
        return True
    return todo.assignee == me.name and not is_there(todo.owner, roles)


def is_orphan(todo: TodoRow, roles: Roles) -> bool:
    """Whether its assignee isn't there, so that another has to be named."""
    return todo.assignee not in roles


def choose_assignee(
    roles: Roles, *, actor_node: str, owner: str, others: Iterable[TodoRow]
) -> tuple[str, str]:
    """Return who is to finish a destruction if `owner` dies, and words where that is no good one.

    Another node than the actor's own, which may die with it; one that hosts actors rather than a
    master; of those the one with the fewest clauses. `owner` is the name of the owner while it is
    alive, "" after that.
    """
    load: dict[str, int] = {}
    for todo in others:
        load[todo.assignee] = load.get(todo.assignee, 0) + 1

    def pick(names: Collection[str]) -> str:
        return min(names, key=lambda name: (load.get(name, 0), name))

    rest = sorted(roles.keys() - {owner, actor_node})
    hosting = [name for name in rest if roles[name][0] != "master"]
    if hosting or rest:
        return pick(hosting or rest), ""
    if actor_node in roles and actor_node != owner:
        return actor_node, " (it hosts the actor itself: no other node is there)"
    return owner or pick(sorted(roles)), " (no other node is there)"


def witness(todo: TodoRow, lives: Mapping[str, int]) -> str:
    """Return who writes into the event log that `todo` is done.

    Not the one that did it: if it dies in that moment nobody could tell whether it wrote. `lives`
    are the nodes of the knowledge base with their incarnations, which all see alike at the change
    that takes the clause away; of the view that isn't sure.
    """
    if lives.get(todo.owner.name) == todo.owner.incarnation:
        return todo.assignee
    return min(lives.keys() - {todo.assignee}, default=todo.assignee)
