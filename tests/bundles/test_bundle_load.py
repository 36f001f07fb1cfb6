"""Bundles come to life: their own modules, side by side, out of everybody's way."""

from __future__ import annotations

import dataclasses
import linecache
import os
import pickle
import sys
import threading
import traceback
from pathlib import Path

import msgspec
import pytest
from deadlines import join, run_to_end

from zactor.bundles.build import build_bundle
from zactor.bundles.code_names import code_name
from zactor.bundles.load import attach, check, detach, forget, load_class, private_name, register
from zactor.bundles.manifest import Bundle, encode
from zactor.bundles.store import BundleStore
from zactor.kernel.errors import BundleRefused

from .conftest import COUNTER, Write

ACTOR = "from zactor.kernel.actors.actor import Actor\n"


def call(bundle: Bundle, method: str = "step", type_name: str = "counter") -> object:
    """Call a method that needs no instance: a class is loaded, not an actor deployed."""
    return getattr(load_class(bundle, type_name), method)(None)


def counter_with(body: str, **others: str) -> dict[str, str]:
    lines = "\n        ".join(body.splitlines())
    text = f"{ACTOR}class Counter(Actor):\n    def step(self):\n        {lines}\n"
    return {"counter.py": text, **{f"{name}.py": source for name, source in others.items()}}


def test_a_class_is_loaded_once(counter: Bundle) -> None:
    cls = load_class(counter, "counter")
    assert cls is load_class(counter, "Counter")
    assert cls.__name__ == "Counter"
    assert call(counter) == 1


def test_two_versions_run_side_by_side(write: Write) -> None:
    bundles = []
    for version in (1, 2):
        files = counter_with("import helper\nreturn helper.VALUE", helper=f"VALUE = {version}")
        bundles.append(build_bundle(write(files) / "counter.py"))
    assert [call(bundle) for bundle in bundles] == [1, 2]
    assert [call(bundle) for bundle in reversed(bundles)] == [2, 1]


def test_nothing_appears_under_a_plain_name(write: Write) -> None:
    before = set(sys.modules)
    files = counter_with("import helper\nreturn helper.VALUE", helper="VALUE = 1")
    bundle = build_bundle(write(files) / "counter.py")
    call(bundle)
    appeared = set(sys.modules) - before
    homes = {code_name(identity, name) for name, identity in bundle.manifest.modules.items()}
    assert homes <= appeared
    assert all(name.startswith("zactor_") for name in appeared)
    assert not {"counter", "helper"} & appeared


@pytest.mark.parametrize(
    "body",
    [
        "import helper\nreturn helper.VALUE",
        "import helper as h\nreturn h.VALUE",
        "from helper import VALUE\nreturn VALUE",
        "from helper import *\nreturn VALUE".replace("*", "VALUE as v, VALUE"),
        "from .helper import VALUE\nreturn VALUE",
        "from . import helper\nreturn helper.VALUE",
        "import kit.tools\nreturn kit.tools.VALUE",
        "import kit.tools as t\nreturn t.VALUE",
        "from kit import tools\nreturn tools.VALUE",
        "from kit.tools import VALUE\nreturn VALUE",
        "from kit import absolute\nreturn absolute.VALUE",
        "import kit.tools, kit.deep.inner\nreturn kit.deep.inner.VALUE",
    ],
)
def test_every_way_to_import_finds_the_bundles_own_module(write: Write, body: str) -> None:
    kit = {
        "kit/__init__.py": "",
        "kit/tools.py": "VALUE = 7",
        "kit/absolute.py": "from kit.tools import VALUE",
        "kit/deep/inner.py": "from ..tools import VALUE",
    }
    folder = write(counter_with(body, helper="VALUE = 7") | kit)
    assert call(build_bundle(folder / "counter.py")) == 7
    assert call(build_bundle(folder)) == 7


def test_a_star_import_finds_the_bundles_own_module(write: Write) -> None:
    files = counter_with("return VALUE", helper="VALUE = 7")
    files["counter.py"] = "from helper import *\n" + files["counter.py"]
    assert call(build_bundle(write(files) / "counter.py")) == 7


def test_modules_that_import_each_other_load(write: Write) -> None:
    files = counter_with("return right.get()", left="import right\nX = 3", right="import left")
    files["right.py"] = "import left\ndef get(): return left.X"
    files["counter.py"] = "import left, right\n" + files["counter.py"]
    assert call(build_bundle(write(files) / "counter.py")) == 3


def test_data_files_are_found_by_pkgutil(write: Write) -> None:
    body = "import pkgutil\nreturn pkgutil.get_data(__package__, 'table.txt')"
    folder = write({**counter_with(body), "table.txt": "hello"})
    assert call(build_bundle(folder)) == b"hello"


def test_a_package_is_loaded_with_its_init(write: Write) -> None:
    folder = write(
        {
            "bank/__init__.py": "RATE = 3\nfrom bank.account import Account",
            "bank/account.py": ACTOR
            + "import bank\nclass Account(Actor):\n    def step(self): return bank.RATE",
        }
    )
    assert call(build_bundle(folder / "bank"), type_name="account") == 3


def test_a_traceback_shows_the_line_of_the_bundle(write: Write) -> None:
    bundle = build_bundle(write(counter_with("x = 1\nraise ValueError(x)")) / "counter.py")
    with pytest.raises(ValueError, match="1") as caught:
        call(bundle)
    linecache.checkcache()
    text = "".join(traceback.format_exception(caught.value))
    folder = bundle.identity.removeprefix("sha256:")[:16]
    assert f'{folder}/counter.py", line 5, in step' in text
    assert "raise ValueError(x)" in text


def test_a_class_and_its_instances_can_be_pickled(counter: Bundle) -> None:
    cls = load_class(counter, "counter")
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_a_registered_bundle_can_be_unpickled_before_it_was_loaded(counter: Bundle) -> None:
    text = pickle.dumps(load_class(counter, "counter"))
    forget(counter.identity)
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(text)
    register(counter)
    assert pickle.loads(text) is load_class(counter, "counter")


def test_a_class_of_a_bundle_in_the_store_can_be_unpickled(counter: Bundle, tmp_path: Path) -> None:
    text = pickle.dumps(load_class(counter, "counter"))
    forget(counter.identity)
    store = BundleStore(tmp_path / "store")
    attach(store)
    try:
        with pytest.raises(ModuleNotFoundError):
            pickle.loads(text)
        store.put(counter)
        assert pickle.loads(text) is load_class(counter, "counter")
        forget(counter.identity)
        (file,) = (each for each in (tmp_path / "store").iterdir() if each.is_file())
        file.write_bytes(file.read_bytes().replace(b"return 1", b"return 2"))
        with pytest.raises(ImportError, match="isn't what was asked for"):
            pickle.loads(text)
    finally:
        detach(store)


def test_a_forgotten_bundle_leaves_no_module(counter: Bundle) -> None:
    load_class(counter, "counter")
    forget(counter.identity)
    forget(counter.identity)
    prefix = private_name(counter.identity)
    assert not [name for name in sys.modules if name.startswith(prefix)]
    assert not [name for name in linecache.cache if name.startswith(prefix)]


def test_a_missing_import_is_named_with_the_node(write: Write) -> None:
    text = "import no_such_library\n" + COUNTER
    bundle = build_bundle(write({"counter.py": text}) / "counter.py")
    wanted = r"node 'n1': it imports no_such_library \(want any version, found none\)"
    with pytest.raises(BundleRefused, match=wanted):
        check(bundle, "counter", "n1")
    with pytest.raises(BundleRefused, match="no_such_library"):
        load_class(bundle, "counter")


def changed(bundle: Bundle, **fields: object) -> Bundle:
    return encode(msgspec.structs.replace(bundle.manifest, **fields), bundle.parts)


def test_the_wanted_version_of_a_missing_import_is_named(counter: Bundle) -> None:
    with pytest.raises(BundleRefused, match=r"absent \(want 1\.2, found none\)"):
        check(changed(counter, requirements={"absent": "1.2", "json": ""}), "counter", "n1")


def test_pickled_code_of_another_python_is_refused() -> None:
    from zactor.kernel.actors.actor import Actor

    class Local(Actor):
        pass

    bundle = build_bundle(Local)
    check(bundle, "local", "n1")
    other = changed(bundle, python=(3, 9))
    with pytest.raises(BundleRefused, match=r"'n1'.* pickled by Python 3\.9, found Python 3\.1"):
        check(other, "local", "n1")


def test_sources_of_another_python_are_welcome(counter: Bundle) -> None:
    assert call(changed(counter, python=(3, 9))) == 1


def test_an_unknown_type_is_refused_before_anything_runs(write: Write) -> None:
    files = {"a.py": COUNTER, "b.py": "raise SystemExit\n" + COUNTER.replace("Counter", "Gui")}
    with pytest.raises(BundleRefused, match="it has: Counter, Gui"):
        load_class(build_bundle(write(files)), "clock")


def test_code_that_fails_while_it_is_loaded_is_named_and_leaves_nothing(write: Write) -> None:
    files = counter_with("return 1", helper="raise RuntimeError('broken')")
    files["counter.py"] = "import helper\n" + files["counter.py"]
    bundle = build_bundle(write(files) / "counter.py")
    for _ in range(2):
        with pytest.raises(BundleRefused, match=r"counter:Counter.*RuntimeError: broken"):
            load_class(bundle, "counter")
        prefix = private_name(bundle.identity)
        assert not [name for name in sys.modules if name.startswith(f"{prefix}.")]


def test_what_only_looks_like_an_actor_is_refused(write: Write) -> None:
    text = "from collections import OrderedDict as FakeActor\n"
    files = {"x.py": "class FakeActor: pass", "counter.py": "from json import decoder\n"}
    files["counter.py"] += text + "import json as ReActor\nclass Counter(ReActor.JSONDecoder): pass"
    with pytest.raises(BundleRefused):
        build_bundle(write(files) / "counter.py")
    spoof = "import builtins\nbuiltins_Actor = object\nfrom fake import FakeActor\n"
    files = {"counter.py": spoof + "class Counter(FakeActor): pass"}
    bundle = changed(build_bundle(write(files) / "counter.py"), requirements={})
    with pytest.raises(BundleRefused, match="No module named 'fake'"):
        load_class(bundle, "counter")


def test_a_bundle_made_by_hand_around_a_false_identity_never_runs(counter: Bundle) -> None:
    false = dataclasses.replace(counter, identity="sha256:" + "0" * 64)
    with pytest.raises(BundleRefused, match="isn't what its identity"):
        load_class(false, "counter")


def test_many_threads_get_one_class(write: Write) -> None:
    files = counter_with("return 1", helper="import threading\nthreading.Event().wait(0.01)")
    files["counter.py"] = "import helper\n" + files["counter.py"]
    bundle = build_bundle(write(files) / "counter.py")
    found: list[type] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_class(bundle, "counter")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    join(*threads)
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_bundle_whose_import_blocks_holds_up_no_other(write: Write) -> None:
    files = counter_with("return 1")
    top = files["counter.py"]
    files["counter.py"] = "import threading\nentered, freed = (threading.Event() for _ in 'ab')\n"
    files["counter.py"] += f"threading.gate = entered, freed\nentered.set()\nfreed.wait(20)\n{top}"
    blocking = build_bundle(write(files) / "counter.py")
    files["counter.py"] = top
    other = build_bundle(write(files) / "counter.py")
    found: list[type] = []
    first = threading.Thread(target=lambda: found.append(load_class(blocking, "counter")))
    second = threading.Thread(target=lambda: found.append(load_class(other, "counter")))
    try:
        first.start()
        while not hasattr(threading, "gate"):
            first.join(0.001)
        second.start()
        second.join(5)
        home = code_name(other.manifest.modules["counter"], "counter")
        assert [cls.__module__ for cls in found] == [home]
    finally:
        threading.__dict__.pop("gate")[1].set()
        join(first, second)
    assert len(found) == 2


def test_a_bundle_forgotten_while_it_is_awaited_is_loaded_anew(write: Write) -> None:
    files = counter_with("return 1", helper="import threading\nthreading.Event().wait(0.002)")
    files["counter.py"] = "import helper\n" + files["counter.py"]
    bundle = build_bundle(write(files) / "counter.py")
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                load_class(bundle, "counter")
                forget(bundle.identity)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert errors == []


LOAD = """
import sys
from zactor.bundles.load import load_class
from zactor.bundles.manifest import verify
for name in sys.argv[1:]:
    print(load_class(verify(name), "counter").step(None))
"""


def test_a_process_that_has_no_sources_runs_the_bundle(write: Write, tmp_path: Path) -> None:
    names = []
    for version in (1, 2):
        files = counter_with("import helper\nreturn helper.VALUE", helper=f"VALUE = {version}")
        folder = write(files)
        target = tmp_path / f"{version}.bundle"
        target.write_bytes(build_bundle(folder / "counter.py").data)
        names.append(str(target))
        for file in folder.iterdir():
            file.unlink()
    done = run_to_end(
        [sys.executable, "-P", "-c", LOAD, *names], cwd="/", env=os.environ, check=True
    )
    assert done.stdout.split() == ["1", "2"]
