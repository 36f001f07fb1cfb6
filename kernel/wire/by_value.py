"""Pickles by value in which code keeps the name of its file, whatever cloudpickle does with it.

A traceback finds the file and the line of a frame by `co_filename`. Some versions of cloudpickle
write it into the pickle, others put a constant there; so it isn't left to them. Each code object
is followed in the pickle by a call of its own method `replace`: nothing but Python's own library
is needed to read that, and no layout of code objects is assumed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from operator import methodcaller
from pickle import PickleBuffer
from types import CodeType
from typing import Any

import cloudpickle


class ByValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle, with a file name for each code object that goes by value."""

    def __init__(
        self,
        file: io.BytesIO,
        buffer_callback: Callable[[PickleBuffer], Any] | None = None,
    ) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._bare: dict[int, CodeType] = {}  # by id; kept, for no other may get that id
        self._naming: dict[str, methodcaller] = {}  # by file: pickled once for each

    def file_of(self, code: CodeType) -> str:
        """Return what `code` calls its file once it is unpickled."""
        return code.co_filename

    def reducer_override(self, obj: Any) -> Any:
        """Return how `obj` is pickled; NotImplemented leaves that to cloudpickle's table."""
        if not isinstance(obj, CodeType):
            return super().reducer_override(obj)
        if id(obj) in self._bare:
            return NotImplemented
        file = self.file_of(obj)
        if file not in self._naming:
            # A string of its own: whether pickle refers back to one that it has already written
            # depends on whether the two are one object, and so may differ between processes.
            self._naming[file] = methodcaller("replace", co_filename="".join(file))
        bare = obj.replace(co_filename="")
        self._bare[id(bare)] = bare
        return self._naming[file], (bare,)


def dumps(value: Any, buffer_callback: Callable[[PickleBuffer], Any] | None = None) -> bytes:
    """Return `value` as a pickle; what no other process could import goes by value."""
    target = io.BytesIO()
    ByValuePickler(target, buffer_callback).dump(value)
    return target.getvalue()
