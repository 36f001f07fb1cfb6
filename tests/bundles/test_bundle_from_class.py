"""Classes from memory travel by value: the node needs neither their module nor their folder."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from pathlib import Path

import cloudpickle
import pytest
from deadlines import run_to_end

from zactor.bundles.build import build_bundle
from zactor.bundles.from_class import build_from_class
from zactor.bundles.load import load_class
from zactor.bundles.manifest import read_manifest
from zactor.bundles.scan import scan
from zactor.kernel.actors.actor import Actor, action, actions_of, options_of
from zactor.kernel.errors import BundleRefused

from .conftest import Write

FACTOR = 3
GROVE = """
from zactor.kernel.actors.actor import Actor

class Tree(Actor):
    def step(self):
        return far_away.VALUE
"""


class Counter(Actor):
    """A class of a module that only this process has."""

    @action
    def add(self, number: int) -> int:
        return number + FACTOR

    def step(self) -> int:
        return 2 * FACTOR


def test_a_class_of_a_test_module_is_loaded_as_another_class() -> None:
    cls = load_class(build_bundle(Counter), "counter")
    assert cls is not Counter
    assert cls.__name__ == "Counter"
    assert cls.step(None) == 6  # type: ignore[attr-defined]
    assert Counter.__module__ == __name__


def test_actions_and_options_survive() -> None:
    class Local(Counter, dispatcher="thread"):
        @action
        def twice(self) -> int:
            return super().add(2)

    cls = load_class(build_bundle(Local), "local")
    assert set(actions_of(cls)) == {"add", "twice"}
    assert actions_of(cls)["twice"](cls()) == 5
    assert options_of(cls).dispatcher == "thread"


def test_building_leaves_cloudpickles_registry_as_it_was() -> None:
    before = set(cloudpickle.list_registry_pickle_by_value())
    build_bundle(Counter)
    assert set(cloudpickle.list_registry_pickle_by_value()) == before


def test_the_same_class_has_the_same_identity_twice() -> None:
    assert build_bundle(Counter).identity == build_bundle(Counter).identity


def test_two_versions_of_one_class_are_two_classes() -> None:
    versions = []
    for number in (1, 2):

        class Local(Actor):
            value = number

        versions.append(load_class(build_bundle(Local), "local"))
    assert [cls.value for cls in versions] == [1, 2]  # type: ignore[attr-defined]


def test_a_class_that_holds_a_lock_is_refused_with_the_reason() -> None:
    class Local(Actor):
        lock = threading.Lock()

    with pytest.raises(BundleRefused, match=r"'Local'.*cannot pickle.*on_start"):
        build_bundle(Local)


def test_a_class_that_is_no_actor_is_refused() -> None:
    for cls in (dict, Actor):
        with pytest.raises(BundleRefused, match="isn't derived from Actor"):
            build_bundle(cls)


def test_what_it_needs_from_installed_packages_is_required() -> None:
    import msgspec

    class Local(Actor):
        def step(self) -> object:
            import hypothesis

            return msgspec, hypothesis

    manifest = build_bundle(Local).manifest
    assert set(manifest.requirements) == {"msgspec"}
    assert set(manifest.optional) == {"hypothesis"}


MAIN = """
import sys
import helper
from tools.deep import triple
from zactor.bundles.build import build_bundle
from zactor.kernel.actors.actor import Actor, action, actions_of, options_of

class Base(Actor):
    def base(self):
        return helper.VALUE

class Counter(Base):
    def step(self):
        return triple(self.base(self)) if self else triple(Counter.base(self))

    def fail(self):
        raise ValueError("wrong")

open(sys.argv[1], "wb").write(build_bundle(Counter).data)
"""

LOAD = """
import sys, traceback
from zactor.bundles.load import load_class
from zactor.bundles.manifest import verify
cls = load_class(verify(sys.argv[1]), "counter")
print(cls.step(None))
assert not {"helper", "tools"} & set(sys.modules)
try:
    cls.fail(None)
except ValueError:
    traceback.print_exc(file=sys.stdout)
"""


def run(*words: str, folder: Path) -> str:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_to_end([sys.executable, *words], cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_scripts_class_runs_where_its_folder_cannot_be_imported(
    write: Write, tmp_path: Path
) -> None:
    folder = write(
        {
            "main.py": MAIN,
            "helper.py": "VALUE = 5",
            "tools/__init__.py": "",
            "tools/deep.py": "def triple(x): return 3 * x",
        }
    )
    target = tmp_path / "c.bundle"
    run("main.py", str(target), folder=folder)
    for file in sorted(folder.rglob("*.py")):
        file.unlink()
    assert read_manifest(target).requirements == {}
    printed = run("-P", "-c", LOAD, str(target), folder=Path("/"))
    assert printed.splitlines()[0] == "15"
    assert "main.py" in printed
    assert 'raise ValueError("wrong")' in printed


def test_the_package_of_a_class_that_needs_more_than_it_is_not_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = {f"grove/other{count}.py": f"VALUE = {count}" for count in range(20)}
    source = f"import far_away\n{GROVE}"
    folder = write({"grove/__init__.py": "", "grove/tree.py": source, **others})
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.syspath_prepend(str(write({"far_away.py": "VALUE = 7"}, "elsewhere")))
    tree = importlib.import_module("grove.tree")
    before = scan.cache_info().misses
    bundle = build_from_class(tree.Tree)
    assert scan.cache_info().misses - before < 10
    assert load_class(bundle, "tree")().step() == 7
    for name in ("grove.tree", "grove", "far_away"):
        del sys.modules[name]
