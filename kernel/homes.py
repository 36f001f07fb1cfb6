"""What is public says that it is at home in `zactor`, whichever file it is in.

Pickles, error texts and documentation name a class by its `__module__`. A private path in there
would bind what lies on disks and what users write to where our files happen to lie.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any, Final, TypeVar, get_type_hints

HOME: Final = "zactor"
"""Its `__getattr__` finds everything that is at home in it; that is where pickle looks."""

T = TypeVar("T", bound=Any)


def at_home(thing: T, name: str = "") -> T:
    """Say that `thing`, a class with its methods or a function, is at home in `zactor`; return it.

    It must be found there under its name: see `_HOMES` and `_PICKLED` of `zactor/__init__.py`.
    `inspect.getsource` finds functions and methods as before; for such a class it raises OSError.

    Args:
        name: what it is called there, where that differs from here.
    """
    before = thing.__module__
    if name:
        thing.__name__ = thing.__qualname__ = name
    if isinstance(thing, type):
        _resolve_annotations(thing)
        for part in vars(thing).values():
            for function in _functions_of(part):
                if function.__module__ == before:
                    function.__module__ = HOME
                    if name:
                        function.__qualname__ = f"{name}.{function.__name__}"
    thing.__module__ = HOME
    return thing


def _resolve_annotations(cls: type) -> None:
    """Who reads annotations (msgspec, typing) looks up their names in the module that is named."""
    own = vars(cls).get("__annotations__")
    if own:
        hints = get_type_hints(cls, include_extras=True)
        cls.__annotations__ = {name: hints[name] for name in own}


def _functions_of(part: object) -> list[FunctionType]:
    if isinstance(part, property):
        found: list[object] = [part.fget, part.fset, part.fdel]
    elif isinstance(part, classmethod | staticmethod):
        found = [part.__func__]
    else:
        found = [part]
    return [function for function in found if isinstance(function, FunctionType)]
