"""Pickles of a version before: all that they name of ours is found, wherever it lies now."""

from __future__ import annotations

import base64
import importlib
import json
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from deadlines import DEADLINE_S

import zactor
from zactor.kernel.wire import unpickle

HERE = Path(__file__).parent
MAKER = HERE / "make_pickles.py"
CODE = {("cloudpickle.cloudpickle", "_make_function")}  # what only the same Python reads


class OldPickles:
    """What make_pickles.py wrote: with the zactor and the Python of the file's name, or today's."""

    def __init__(self, file: Path) -> None:
        held = json.loads(file.read_text())
        self.made = {text: base64.b64decode(data) for text, data in held["made"].items()}
        self.is_of_this_python = held["python"] == list(sys.version_info[:2])

    def read(self) -> dict[str, Any]:
        """Read what this Python can."""
        return {
            text: unpickle.loads(data)
            for text, data in self.made.items()
            if self.is_of_this_python or not names_in(data) & CODE
        }


@pytest.fixture(params=sorted(HERE.glob("pickles-wire3-*.json")), ids=lambda file: file.stem)
def old_pickles(request: pytest.FixtureRequest) -> OldPickles:
    return OldPickles(request.param)


def names_in(data: bytes) -> set[tuple[str, str]]:
    """(module, name) of every global that a pickle of protocol 4 or 5 names."""
    stack: list[Any] = []
    memo: list[Any] = []
    found = set()
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "MEMOIZE":
            memo.append(stack[-1])
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif opcode.name == "STACK_GLOBAL":
            found.add((stack[-2], stack[-1]))
            stack.append(None)
        elif opcode.name not in ("PROTO", "FRAME"):
            stack.append(argument if "UNICODE" in opcode.name else None)
    return found


def ours(data: bytes) -> set[tuple[str, str]]:
    return {(module, name) for module, name in names_in(data) if module.startswith("zactor")}


def make_old_modules_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it as it is once the files are elsewhere: the old paths can't be imported."""
    for public in {*zactor._HOMES, *zactor._PICKLED}:
        getattr(zactor, public)  # zactor keeps it
    for module in {module for module, _ in unpickle.OLD_NAMES}:
        monkeypatch.setitem(sys.modules, module, None)


def test_every_name_of_ours_in_an_old_pickle_is_in_the_table(old_pickles: OldPickles) -> None:
    found = set().union(*map(ours, old_pickles.made.values()))
    assert len(found) > 40
    unknown = [
        f"{module}:{name}"
        for module, name in sorted(found)
        if (module, name.partition(".")[0]) not in unpickle.OLD_NAMES
    ]
    assert not unknown


@pytest.mark.parametrize("new", sorted(set(unpickle.OLD_NAMES.values())))
def test_every_name_in_the_table_leads_to_what_is_at_home_in_zactor(new: str) -> None:
    thing: Any = getattr(zactor, new)
    assert (thing.__module__, thing.__qualname__) == ("zactor", new)


def test_old_pickles_are_read_when_the_old_modules_are_gone(
    old_pickles: OldPickles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        make_old_modules_vanish(patch)
        read = old_pickles.read()
    for text in filter(lambda text: text.startswith("zactor."), read):
        (old,) = ours(old_pickles.made[text])
        assert read[text] is getattr(zactor, unpickle.OLD_NAMES[old])
    assert read["value Service.SAFE"] == [zactor.Service.SAFE]
    assert repr(read["value a ref"]) == "[<Ref g1>]"
    assert str(read["error RemoteActionError"]).startswith("c1. on n1 raised KeyError")
    if old_pickles.is_of_this_python:
        options = read["class Options by value"]
        assert issubclass(options, zactor.Actor)
        assert options.__zactor_options__.mailbox_policy == "drop_oldest"
        assert set(options.__zactor_actions__) == {"inc", "slow"}
        assert read["class Aliases by value"].hello is zactor.Actor.on_start
        assert read["a closure"]() == "Service.AGREED"
        modules = read["class Modules by value"].__zactor_actions__
        with pytest.raises(zactor.NoSuchThing, match=r"Service\.SAFE"):
            modules["fail"](None)


def test_without_the_table_they_could_not_be_read(
    old_pickles: OldPickles, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old_modules_vanish(monkeypatch)
    monkeypatch.setattr(unpickle, "OLD_NAMES", {})
    with pytest.raises(ModuleNotFoundError):
        unpickle.loads(old_pickles.made["value Service.SAFE"])


def test_a_module_that_a_class_holds_is_found_or_stood_in_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = cloudpickle.dumps(importlib.import_module("zactor.kernel.errors"))
    assert unpickle.loads(held) is sys.modules["zactor.kernel.errors"]
    make_old_modules_vanish(monkeypatch)
    stand_in = unpickle.loads(held)
    assert stand_in.NoSuchThing is zactor.NoSuchThing
    with pytest.raises(ModuleNotFoundError):
        unpickle.loads(cloudpickle.dumps(json).replace(b"json", b"zact"))


def test_no_pickle_of_today_names_a_module_below_zactor(
    tmp_path: Path, old_pickles: OldPickles
) -> None:
    output = tmp_path / "today.json"
    subprocess.run([sys.executable, "-P", MAKER, output], check=True, timeout=DEADLINE_S)
    today = OldPickles(output).made
    renamed = {text.replace("RoomMessage", "GroupMessage") for text in old_pickles.made}
    assert renamed <= set(today)
    modules = {module for data in today.values() for module, _ in ours(data)}
    assert modules == {"zactor"}
    assert pickle.loads(today["value Service.SAFE"]) == [zactor.Service.SAFE]
