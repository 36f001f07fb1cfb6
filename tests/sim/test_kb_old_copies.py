"""What an old copy of a disk answers alone is excused, and nothing that it answers later."""

from __future__ import annotations

from typing import Any

import pytest

from zactor.testing.kb_sim.checkers import check_all, check_linearisable
from zactor.testing.kb_sim.history import Knowledge
from zactor.testing.kb_sim.rare_run import play


def lines(*, old_copy: bool, back_in: bool) -> list[dict[str, Any]]:
    """n0 reads at (1, 1) what n1 knows to be at (2, 1)."""

    def primary(p: str, view: int, epoch: int, *members: str) -> dict[str, Any]:
        return {"k": "primary", "p": p, "v": [view, p], "epoch": epoch, "members": list(members)}

    def change(p: str, id_: str, *clock: int) -> list[dict[str, Any]]:
        decided = {"k": "kb_decided", "p": p, "id": id_, "kind": "", "clock": list(clock)}
        return [{"k": "kb_submit", "p": p, "id": id_}, decided]

    told: list[dict[str, Any]] = [primary("n0@1", 1, 1, "n0"), *change("n0@1", "t1", 1, 1)]
    told += [primary("n1@1", 2, 2, "n0", "n1"), *change("n1@1", "t2", 2, 1)]
    if old_copy:
        told.append({"k": "kb_old_copy", "p": "n0"})
    told.append(primary("n0@2", 3, 2, "n0"))
    if back_in:
        told += [{"k": "lost", "p": "n0@2"}, primary("n0@2", 4, 3, "n0", "n1")]
    decided = {"k": "kb_decided", "p": "n0@2", "id": "r1", "kind": "", "clock": [1, 1]}
    told += [{"k": "kb_read", "p": "n0@2", "id": "r1"}, decided]
    told.append({"k": "kb_value", "p": "n0@2", "id": "r1", "values": []})
    for number, line in enumerate(told):
        line["t"] = number
    return told


@pytest.mark.parametrize(
    ("old_copy", "back_in", "is_wrong"),
    [(True, False, False), (True, True, True), (False, False, True)],
)
def test_a_read_is_excused_only_where_an_old_copy_works_alone(
    old_copy: bool, back_in: bool, is_wrong: bool
) -> None:
    wrong = check_linearisable(Knowledge(lines(old_copy=old_copy, back_in=back_in)))
    assert any("r1 at" in words for words in wrong) is is_wrong, wrong


@pytest.mark.slow
def test_an_old_copy_that_answers_a_read_alone_breaks_nothing() -> None:
    assert check_all(play(479)) == {}
