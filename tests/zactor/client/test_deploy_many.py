"""deploy_many: many actors are made by few changes, and each is answered for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deadlines import DEADLINE_S

from zactor import AlreadyExists, BlockingCluster, BlockingMaster, NoSuchThing, local
from zactor.demos.counter import LazyCounter
from zactor.kernel import limits
from zactor.kernel.errors import UnfitArguments

pytestmark = pytest.mark.slow

CODE = """
from zactor import Actor, action

class Kept(Actor):
    def __init__(self, number: int = 0, ballast: str = "") -> None:
        if number < 0:
            raise ValueError("no such number")
        self.number = number
        self.ballast = ballast

    @action
    def seen(self) -> int:
        return self.number

    @action
    def weight(self) -> int:
        return len(self.ballast)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockingCluster]:
    code = tmp_path_factory.mktemp("many") / "kept.py"
    code.write_text(CODE)
    with local(nodes=2) as cluster:
        cluster.master.declare_factory("kept", code)
        yield cluster


def names(m: BlockingMaster) -> set[str]:
    return {str(row["name"]) for row in m.actors()}


def test_hundreds_of_actors_are_made_by_a_few_changes(cluster: BlockingCluster) -> None:
    m = cluster.master
    count = 600
    before = len(m.log())
    rows = m.deploy_many(("kept", f"h{n}", f"n{n % 2 + 1}", {"number": n}) for n in range(count))
    assert [(row["name"], row["node"], row["error"]) for row in rows] == [
        (f"h{n}", f"n{n % 2 + 1}", "") for n in range(count)
    ]
    assert len(m.log()) - before < 40
    assert [m.ask(f"h{n}", "seen", timeout=DEADLINE_S) for n in (0, 255, 256, 599)] == [
        0,
        255,
        256,
        599,
    ]
    assert len({row["uid"] for row in m.actors()}) == len(m.actors())


def test_who_fails_is_gone_and_told_of_and_the_others_run(cluster: BlockingCluster) -> None:
    m = cluster.master
    orders = [("kept", "f1", "n1", {"number": 1}), ("kept", "f2", "n2", {"number": -2})]
    good, bad = m.deploy_many(orders)
    assert (good["error"], bad["name"]) == ("", "f2")
    assert "ValueError: no such number" in str(bad["error"])
    assert m.ask("f1", "seen", timeout=DEADLINE_S) == 1
    assert "f2" not in names(m)


def test_nothing_is_made_where_one_can_not_be(cluster: BlockingCluster) -> None:
    m = cluster.master
    m.deploy_actor("kept", "there", "n1")
    before = names(m)
    fine = ("kept", "new", "n1", {})
    for wrong, error in [
        (("kept", "there", "n2", {}), AlreadyExists),
        (("kept", "new", "n2", {}), AlreadyExists),
        (("kept", "other", "n9", {}), NoSuchThing),
        (("nothing", "other", "n1", {}), NoSuchThing),
        (("kept", "other", "n1", {"count": 1}), UnfitArguments),
    ]:
        with pytest.raises(error):
            m.deploy_many([fine, wrong])
    assert m.deploy_many([]) == []
    assert names(m) == before


def test_classes_and_long_arguments_go_along(cluster: BlockingCluster) -> None:
    m = cluster.master
    long = "x" * (limits.FACT_ARGUMENTS_BYTES_MAX // 2)
    longer = "x" * (limits.FACT_ARGUMENTS_BYTES_MAX + 1)
    rows = m.deploy_many(
        [
            (LazyCounter, "lazy", "n1", {}),
            ("kept", "longer", "n1", {"ballast": longer}),
            *(("kept", f"long{n}", "n2", {"ballast": long}) for n in range(20)),
        ]
    )
    assert {row["error"] for row in rows} == {""}
    assert m.ask("longer", "weight", timeout=DEADLINE_S) == len(longer)
    assert m.ask("long19", "weight", timeout=DEADLINE_S) == len(long)
    assert m.describe("lazy")["class_name"] == "LazyCounter"
