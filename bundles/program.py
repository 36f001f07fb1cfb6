"""A program's own classes in what it sends to actors and gets from them.

What it sends names them by the identity of their module; the bundles of the actors have the same.
What it gets becomes its own class where it has that module with the same content, else a StandIn.
"""

from __future__ import annotations

import copyreg
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from pickle import PickleBuffer
from types import ModuleType
from typing import Any

from zactor.bundles.code_names import CODE, split_name
from zactor.bundles.references import attribute, code_of, reference_to
from zactor.bundles.user_modules import (
    UserModule,
    file_of,
    find_user_module,
    of_file,
    user_module,
)
from zactor.kernel.wire.bulky import Buffer
from zactor.kernel.wire.by_value import ByValuePickler
from zactor.kernel.wire.by_value import dumps as by_value_dumps
from zactor.kernel.wire.unpickle import SET_CLASS, set_class_once

_MARKS = (CODE.encode(), b"_class_setstate")


def dumps(value: Any, buffer_callback: Callable[[PickleBuffer], Any] | None = None) -> bytes:
    """Return `value` as a pickle that an actor can read, whichever folder it came from.

    Raises:
        Exception: whatever pickling it raises.
    """
    target = io.BytesIO()
    _Pickler(target, buffer_callback).dump(value)
    return target.getvalue()


def loads(data: bytes, buffers: Iterable[Buffer] | None = None) -> Any:
    """Return what an actor sent, as `pickle.loads` does."""
    if not any(mark in data for mark in _MARKS):
        return pickle.loads(data, buffers=buffers)
    return _Unpickler(io.BytesIO(data), buffers=buffers).load()


class StandIn:
    """An instance of a class that this program hasn't got: its name, and its fields to read.

    Two are equal if they are of one class and all their fields are. Sent to an actor, it is an
    instance of the actor's class again.
    """

    def __new__(cls, *args: Any, **fields: Any) -> StandIn:
        made = super().__new__(cls)
        vars(made).update(fields)
        if args:
            vars(made)["args"] = args
            if len(args) == 1:  # what an enumeration is called with
                vars(made)["value"] = args[0]
        return made

    def __init__(self, *args: Any, **fields: Any) -> None:
        self._called = True

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                vars(self).update(part)
            elif part is not None:
                vars(self)["state"] = part

    def append(self, item: Any) -> None:
        """Take an item of what was a list."""
        vars(self).setdefault("items", []).append(item)

    def __setitem__(self, key: Any, value: Any) -> None:
        vars(self).setdefault("pairs", {})[key] = value

    def _fields(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_called"}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        fields = self._fields()
        if set(fields) == {"args", "value"}:
            return f"{type(self).__qualname__}({fields['value']!r})"
        shown = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        return f"{type(self).__qualname__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        fields = self._fields()
        args = fields.pop("args", ())
        if args:
            fields.pop("value", None)
        if getattr(self, "_called", False):
            return (type(self), args, fields or None)
        return (copyreg.__newobj__, (type(self), *args), fields or None)  # type: ignore[attr-defined]


_STAND_INS: dict[tuple[str, str], type[StandIn]] = {}


def _stand_in(module: str, qualname: str) -> type[StandIn]:
    key = (module, qualname)
    if key not in _STAND_INS:
        _STAND_INS[key] = type(
            qualname.rpartition(".")[2],
            (StandIn,),
            {"__module__": module, "__qualname__": qualname, "__doc__": StandIn.__doc__},
        )
    return _STAND_INS[key]


class _Pickler(ByValuePickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type) and issubclass(obj, StandIn) and obj is not StandIn:
            identity, module = split_name(obj.__module__)
            return code_of, (identity, module, obj.__qualname__)
        known = reference_to(obj)
        if known is not None:
            return code_of, (known.identity, known.module, getattr(obj, "__qualname__", ""))
        known = _of_main(obj)
        if known is not None:
            by_value = by_value_dumps(obj)
            return code_of, (known.identity, known.module, obj.__qualname__, by_value)
        return super().reducer_override(obj)


def _of_main(obj: object) -> UserModule | None:
    """Where a class of the file that runs would be in a bundle of that file."""
    main = sys.modules.get("__main__")
    if main is None or not isinstance(obj, type) or obj.__module__ != "__main__":
        return None
    return user_module(main) if attribute(main, obj.__qualname__) is obj else None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == SET_CLASS:
            return set_class_once
        identity, plain = split_name(module)
        if not identity:
            return super().find_class(module, name)
        own = _own_module(plain, identity)
        if own is not None:
            return attribute(own, name)
        try:
            return super().find_class(module, name)
        except ImportError:
            return _stand_in(module, name)


def _own_module(name: str, identity: str) -> ModuleType | None:
    """This program's module of that name, if it is of that content."""
    found = find_user_module(name)
    if found is not None:
        known = user_module(found)
        return found if known is not None and known.identity == identity else None
    file: Path | None = file_of(name)
    known = of_file(name, file) if file is not None else None
    if known is None or known.identity != identity:
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
