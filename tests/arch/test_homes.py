"""What is public is at home in `zactor`: no pickle, error or signature holds a private path."""

from __future__ import annotations

import copyreg
import inspect
import pickle
import traceback
import typing
from types import FunctionType
from typing import Any

import cloudpickle
import pytest

import zactor
from zactor import Actor, NoSuchActor, Ref
from zactor.kernel.errors import ZactorError
from zactor.kernel.homes import HOME, at_home

ALL = sorted({*zactor._HOMES, *zactor._PICKLED})
CLASSES = [name for name in ALL if isinstance(getattr(zactor, name), type)]


@pytest.mark.parametrize("name", ALL)
def test_a_public_name_says_that_it_is_at_home_in_zactor(name: str) -> None:
    thing: Any = getattr(zactor, name)
    assert (thing.__module__, thing.__qualname__, thing.__name__) == ("zactor", name, name)


@pytest.mark.parametrize("name", ALL)
def test_pickle_and_cloudpickle_find_it_there(name: str) -> None:
    thing = getattr(zactor, name)
    for pickled in (pickle.dumps(thing, 5), cloudpickle.dumps(thing, 5)):
        assert b"zactor." not in pickled
        assert pickle.loads(pickled) is thing


@pytest.mark.parametrize("name", CLASSES)
def test_its_methods_are_at_home_too(name: str) -> None:
    found = [part for part in vars(getattr(zactor, name)).values() if type(part) is FunctionType]
    foreign = {part.__module__ for part in found if part.__module__.startswith("zactor")}
    assert foreign <= {"zactor"}


@pytest.mark.parametrize("name", CLASSES)
def test_its_annotations_can_still_be_resolved(name: str) -> None:
    cls = getattr(zactor, name)
    hints = typing.get_type_hints(cls, include_extras=True)
    assert set(vars(cls).get("__annotations__", {})) <= set(hints)


@pytest.mark.parametrize("name", ["build_bundle"])
def test_the_source_of_a_public_function_can_be_read(name: str) -> None:
    assert f"def {name}(" in inspect.getsource(getattr(zactor, name))


def test_the_source_of_a_public_method_and_of_a_users_class_can_be_read() -> None:
    class Own(Actor):
        """A user's."""

    assert '"""A user\'s."""' in inspect.getsource(Own)
    assert "def send_signal(" in inspect.getsource(Actor.send_signal)


def test_every_error_is_found_in_zactor_whether_public_or_not() -> None:
    def tree(kind: type[ZactorError]) -> set[type[ZactorError]]:
        return {kind}.union(*map(tree, kind.__subclasses__()))

    ours = {kind for kind in tree(ZactorError) if kind.__module__.partition(".")[0] == "zactor"}
    ours = {kind for kind in ours if not kind.__module__.startswith("zactor.cli.")}  # never sent
    assert len(ours) > 20
    for kind in ours:
        assert getattr(zactor, kind.__name__) is kind


def test_a_traceback_names_an_error_as_a_user_imports_it() -> None:
    lines = traceback.format_exception_only(NoSuchActor("no actor c1"))
    assert lines == ["zactor.NoSuchActor: no actor c1\n"]


def test_only_public_names_are_listed() -> None:
    for name in ALL:
        getattr(zactor, name)
    listed = set(dir(zactor))
    assert set(zactor._HOMES) <= listed
    assert not set(zactor._PICKLED) & listed


def test_what_is_at_home_keeps_what_isnt_its_own() -> None:
    class Local:
        number: int = 0
        borrowed = copyreg.constructor

        @property
        def half(self) -> float:
            return self.number / 2

        @classmethod
        def make(cls) -> Local:
            return cls()

    there: Any = at_home(Local, "There")
    assert there is Local
    assert (there.__module__, there.__name__, there.__qualname__) == (HOME, "There", "There")
    assert there.__annotations__ == {"number": int}
    assert there.borrowed.__module__ == "copyreg"
    assert there.half.fget.__module__ == there.make.__func__.__module__ == HOME
    assert there.make.__func__.__qualname__ == "There.make"


def test_a_ref_is_a_ref() -> None:
    assert repr(Ref) == "<class 'zactor.Ref'>"
