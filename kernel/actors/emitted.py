"""Emitted: what signals a class sends by their names, as far as its code tells.

`self.send_signal("name")` is read where a method, or what a method hands the actor to, says it.
Where the actor itself goes to what can't be read, or a name isn't written out, any may be sent.
"""

from __future__ import annotations

import builtins
import dis
import inspect
import sys
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property, partial, partialmethod
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType

from zactor.kernel.actors.actor import Actor, action
from zactor.kernel.actors.emitter import Declared

_EMITS = ("send_signal", "sendSignal")
_COMPUTES = ("FORMAT", "BUILD_STRING", "BINARY_OP", "CONVERT_VALUE")  # a name, perhaps
_OF_PARTS = ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "STORE_ATTR", "DELETE_ATTR")
_OF_METHODS = ("LOAD_ATTR", "LOAD_METHOD")
_SILENT = (Declared, GetSetDescriptorType, MemberDescriptorType)  # they send no signal

Step = tuple[str, object, bool]
"""An instruction: what it does, to what, and whether it puts there what is called."""


def emitted_by(cls: type[Actor], declared: Collection[str]) -> tuple[set[str], bool]:
    """Return the names that a class sends, and whether it may send others, too."""
    reader = _Reader(declared)
    for base in cls.__mro__:
        if base in Actor.__mro__ or _is_pythons(base.__module__):
            continue
        for value in vars(base).values():
            reader.read(value)
    return reader.names, reader.is_open


class _Reader:
    def __init__(self, declared: Collection[str]) -> None:
        self._declared = declared
        self.names: set[str] = set()
        self.is_open = False  # it may send others
        self._seen: set[int] = set()

    def read(self, value: object, *, is_method: bool = True) -> None:
        """Read what lies in a class, or is called from there."""
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        match value:
            case FunctionType():
                self._read_function(value, is_method=is_method)
            case action():
                self.read(value.fn)
            case staticmethod() | classmethod():
                self.read(value.__func__, is_method=False)
            case property():
                for function in (value.fget, value.fset, value.fdel):
                    self.read(function)
            case cached_property() | partial() | partialmethod():
                self.read(value.func)
            case _ if isinstance(value, (type, *_SILENT)) or not hasattr(type(value), "__get__"):
                pass  # it hears of no actor
            case _:
                self.is_open = True

    def _read_function(self, function: FunctionType, *, is_method: bool) -> None:
        within = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        known = dict(function.__globals__)
        cells = {name: _content(cell) for name, cell in within.items()}
        if _is_pythons(str(known.get("__name__"))):  # it sends nothing, but what it wraps may
            for inner in (*cells.values(), getattr(function, "__wrapped__", None)):
                if isinstance(inner, FunctionType):
                    self.read(inner)
            return
        known |= cells
        code = function.__code__
        self._read_code(code, _first_parameter(code) if is_method else "", known)

    def _read_code(self, code: CodeType, actor: str, known: dict[str, object]) -> None:
        steps = list(_steps(code))
        for at, (does, what, _) in enumerate(steps):
            if what in _EMITS and does in _OF_PARTS:
                self._take(steps[at + 1 : at + 3], code)
            elif what in _EMITS:
                self.is_open = True  # getattr(self, "send_signal")
            elif what == actor and _loads(does, actor, code):
                self._follow(steps[:at], steps[at + 1 :], known)
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self._read_code(inner, actor, known)

    def _take(self, given: Sequence[Step], code: CodeType) -> None:
        (does, name, _), (then, *_) = given
        is_whole = does == "LOAD_CONST" and then not in _OF_METHODS
        if is_whole and isinstance(name, str) and (name in self._declared or not _computes(code)):
            self.names.add(name)
        else:
            self.is_open = True

    def _follow(
        self, before: Sequence[Step], after: Sequence[Step], known: dict[str, object]
    ) -> None:
        """The actor itself is taken: for a part of it, or to be given to something."""
        then = [does for does, *_ in after[:2]]
        if then[0] in _OF_PARTS or (then[0] in ("COPY", "DUP_TOP") and then[1] in _OF_PARTS):
            return
        if "IS_OP" in then:
            return
        called = _called(before)
        target = known.get(called, vars(builtins).get(called))
        if isinstance(target, FunctionType):
            self.read(target)
        elif target is getattr and after[0][0] == "LOAD_CONST":
            pass  # which name it is has been looked at
        elif target is None or target is getattr or vars(builtins).get(called) is not target:
            self.is_open = True


def _is_pythons(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names - {"__main__"}


def _content(cell: object) -> object:
    try:
        return cell.cell_contents  # type: ignore[attr-defined]  # typeshed hides it
    except ValueError:  # it is still empty
        return None


def _first_parameter(code: CodeType) -> str:
    """The name of what a method has its actor in; "" if it takes nothing."""
    if code.co_argcount:
        return code.co_varnames[0]
    return code.co_varnames[code.co_kwonlyargcount] if code.co_flags & inspect.CO_VARARGS else ""


def _steps(code: CodeType) -> Iterator[Step]:
    for step in dis.get_instructions(code):
        if isinstance(step.argval, tuple) and "_FAST_" in step.opname:  # two in one
            first, _, second = step.opname.partition("_FAST_")
            for does, name in zip((f"{first}_FAST", second), step.argval, strict=False):
                yield does, name, False
        elif step.opname not in ("CACHE", "EXTENDED_ARG"):
            yield step.opname, step.argval, "NULL" in step.argrepr


def _loads(does: str, name: str, code: CodeType) -> bool:
    """Whether it puts a variable's value on the stack, not the cell that the value is in."""
    is_in_cell = name in code.co_cellvars + code.co_freevars
    return does == "LOAD_DEREF" if is_in_cell else does.startswith("LOAD_FAST")


def _called(before: Sequence[Step]) -> str:
    """The name of what is called with what comes next as its first argument, "" for none."""
    *_, (first, name, _), (second, other, is_called) = [("", "", False)] * 2 + [*before]
    if second == "LOAD_GLOBAL" and is_called:
        return str(other)
    if {first, second} == {"PUSH_NULL", "LOAD_DEREF"}:
        return str(name if first == "LOAD_DEREF" else other)
    return ""


def _computes(code: CodeType) -> bool:
    return any(step.opname.startswith(_COMPUTES) for step in dis.get_instructions(code))
