"""Upgrades of actors on real nodes, asked for from Python: what stays, what fails, and undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from zactor import (
    Actor,
    BlockingCluster,
    BlockingMaster,
    BundleRefused,
    NoSuchActor,
    Refused,
    RemoteActionError,
    ZactorError,
    action,
    local,
)

NAMES = iter(range(1_000_000))


@pytest.fixture(scope="module")
def cluster() -> Iterator[BlockingCluster]:
    with local(nodes=2) as running:
        yield running


@pytest.fixture
def m(cluster: BlockingCluster) -> BlockingMaster:
    return cluster.master


def fresh(stem: str) -> str:
    """A name that no test has used."""
    return f"{stem}{next(NAMES)}"


def tally(version: int, fails: bool = False) -> type[Actor]:
    """A class that counts and tells, of which each number has code of its own."""

    class Tally(Actor):
        def __init__(self, start: int = 0) -> None:
            if fails:
                raise ValueError(f"version {version} can't begin")
            self.value = start

        def state(self) -> int:
            return self.value

        def restore(self, value: int) -> None:
            self.value = value

        @action
        def inc(self) -> tuple[int, int]:
            self.value += 1
            return version, self.value

    return Tally


@pytest.mark.parametrize("node", ["n1", "n2"])  # one of them isn't the node that is asked
def test_an_actor_is_upgraded_and_undo_takes_it_back(m: BlockingMaster, node: str) -> None:
    kind, name = fresh("kind"), fresh("c")
    m.declare_factory(kind, tally(1))
    ref = m.deploy_actor(kind, name, node, start=5)
    assert ref.inc() == (1, 6)
    before = m.describe(name)
    same = m.upgrade_actor(name)
    assert (same["changed"], same["pause_ms"]) == (False, 0.0)
    m.declare_factory(kind, tally(2))
    done = m.upgradeActor(name)
    assert (done["changed"], done["former"], done["node"]) == (True, before["bundle"], node)
    assert ref.inc() == (2, 7)
    told = m.describe(name)
    assert (told["code"], told["uid"], told["arguments"]) == (
        "current",
        before["uid"],
        {"start": 5},
    )
    change = next(row for row in m.log() if row["why"] == f"upgrade({name})")
    assert "@" in str(change["who"])  # who asked, not the node that did it
    m.declare_factory(kind, tally(3, fails=True))
    with pytest.raises(RemoteActionError, match="ValueError: version 3 can't begin"):
        m.upgrade_actor(name)
    assert ref.inc() == (2, 8)
    clock = ".".join(map(str, change["clock"]))
    m.undo(clock)
    assert ref.inc() == (1, 9)
    assert m.describe(name)["bundle"] == before["bundle"]
    with pytest.raises(Refused, match="upgrade"):  # what deployed it can't be taken back
        m.undo(next(".".join(map(str, r["clock"])) for r in m.log() if name in str(r["why"])))


def test_an_older_bundle_is_declared_under_its_hash_and_whoever_did_it_is_named(
    m: BlockingMaster,
) -> None:
    """Nothing is signed, so nothing expires: what one may see is the order, the hash, and who."""
    kind = fresh("aged")

    def bundle() -> str:
        return next(str(row["bundle"]) for row in m.factories() if row["type"] == kind)

    seen = []
    for version in (1, 2, 1):
        m.declare_factory(kind, tally(version))
        seen.append(bundle())
    assert seen[0] == seen[2] != seen[1]
    changes = [row for row in m.log() if f"factory({kind}," in str(row["asserted"])]
    assert [next(b for b in seen if b in str(row["asserted"])) for row in changes] == seen
    assert all("@" in str(row["who"]) for row in changes)


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("import no_such_module_at_all", BundleRefused, "no_such_module_at_all"),
        ("1 / 0", ZactorError, "division by zero"),
    ],
)
def test_code_that_can_not_be_loaded_there_changes_nothing(
    m: BlockingMaster, tmp_path: Path, line: str, kind: type[ZactorError], said: str
) -> None:
    name, source = fresh("c"), tmp_path / "told.py"
    begin, end = "from zactor import Actor, action", "    @action\n    def one(self): return 1\n"
    code = f"{begin}\n\n{{}}\n\nclass Told(Actor):\n{end}"
    source.write_text(code.format(""))
    m.declare_factory("told", source)
    ref = m.deploy_actor("told", name, "n2")
    source.write_text(code.format(line))
    m.declare_factory("told", source)
    with pytest.raises(kind, match=said):
        m.upgrade_actor(name)
    assert ref.one() == 1
    assert m.describe(name)["code"] == "old"


def test_what_can_not_be_upgraded_says_why(m: BlockingMaster) -> None:
    with pytest.raises(NoSuchActor):
        m.upgrade_actor(fresh("nobody"))
    kind, name = fresh("kind"), fresh("c")
    m.declare_factory(kind, tally(1))
    m.deploy_actor(kind, name, "n1")
    m.destroy_actor(name)
    with pytest.raises(NoSuchActor):
        m.upgrade_actor(name)
