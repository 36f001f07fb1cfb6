"""Bundle a class that is in memory: by value, so that no node needs its module.

What the class reaches in user modules travels inside the pickle; what lies in installed packages
is referred to by name and becomes a requirement. The sources of the pickled code go along for
tracebacks only.
"""

from __future__ import annotations

import inspect
import io
import linecache
import os
import re
import sys
import sysconfig
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from zactor.bundles.manifest import PICKLED, SOURCE, Bundle, Manifest, encode, source_file
from zactor.bundles.requirements import created_by, requirements_of
from zactor.bundles.scan import scan
from zactor.kernel.errors import BundleRefused
from zactor.kernel.wire.by_value import ByValuePickler

_REGISTRY_LOCK = threading.Lock()
_BASE_CHARACTERS_MAX = 60  # of a source's name: the end of it, which tells most
_TRACKER_AT = 4  # where cloudpickle's arguments for a new class hold its random id


def build_from_class(cls: type) -> Bundle:
    """Return a bundle of `cls` by value.

    Raises:
        BundleRefused: it isn't derived from Actor, or something it refers to can't be pickled.
    """
    from zactor.kernel.actors.actor import Actor

    name = cls.__name__
    if not issubclass(cls, Actor) or cls is Actor:
        raise BundleRefused(f"class {name!r} isn't derived from Actor")
    target = io.BytesIO()
    pickler = _Pickler(target)
    try:
        with _user_modules_by_value():
            pickler.dump(cls)
    except Exception as error:
        raise BundleRefused(
            f"class {name!r} can't be bundled from memory: {type(error).__name__}: {error}; "
            f"make such things in on_start, or bundle the .py file"
        ) from error
    manifest = Manifest(
        name=name.lower(),
        version=str(getattr(sys.modules.get(cls.__module__), "__version__", "")),
        python=sys.version_info[:2],
        requirements=requirements_of(pickler.needed | _imports_within(cls)),
        types={name: f"{PICKLED}{name}:{name}", name.lower(): f"{PICKLED}{name}:{name}"},
        parts={},
        entry="",
        created_by=created_by(),
    )
    return encode(manifest, {f"{PICKLED}{name}": target.getvalue(), **pickler.sources})


class _Pickler(ByValuePickler):
    """One whose output doesn't depend on the process, and whose sources not on the folder."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.needed: set[str] = set()  # modules that are referred to by name
        self.sources: dict[str, bytes] = {}
        self._files: dict[str, str] = {}  # co_filename -> the same for every builder

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType):
            # Of a module that lies in no file only its loader has the source: ask it if need be.
            linecache.lazycache(obj.__code__.co_filename, obj.__globals__)
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented:
            if isinstance(obj, type | FunctionType | BuiltinFunctionType):
                self.needed.add(getattr(obj, "__module__", None) or "")
            elif isinstance(obj, ModuleType) and not is_user_module(obj):
                self.needed.add(obj.__name__)
            self.needed.discard("cloudpickle.cloudpickle")
            return reduced
        return _without_tracker(obj, reduced)

    def file_of(self, code: CodeType) -> str:
        """Name a source by its content; take the source along."""
        file = code.co_filename
        if file not in self._files:
            source = _source_of(file)
            self._files[file] = self._kept(file, source) if source else file
        return self._files[file]

    def _kept(self, file: str, source: bytes) -> str:
        # A cell of a notebook may have any name; a part of a bundle may not.
        base = re.sub(r"[^\w.-]", "_", os.path.basename(file))[-_BASE_CHARACTERS_MAX:]
        path = f"{SOURCE}{base}"
        if self.sources.setdefault(path, source) != source:
            path = f"{SOURCE}{len(self.sources)}/{base}"
            self.sources[path] = source
        return source_file(path, source)


def _source_of(file: str) -> bytes:
    """The source that a traceback would show here: from the disk, or from where else it is known.

    Notebooks and consoles put what was typed into linecache; code made by exec has none: b"".
    """
    if os.path.isfile(file):
        return Path(file).read_bytes()
    return "".join(linecache.getlines(file)).encode("utf-8", "replace")


def is_user_module(module: ModuleType) -> bool:
    """Whether a node can't be expected to have the module: it isn't installed, nor Python's own.

    The demos are installed, but are examples to edit: they count as the user's.
    """
    name = module.__name__
    file = getattr(module, "__file__", None)
    top = name.partition(".")[0]
    if not file or top in sys.stdlib_module_names:
        return False
    if top == "zactor":
        return name.startswith("zactor.demos.")
    installed = {sysconfig.get_path(kind) for kind in ("stdlib", "platlib", "purelib")}
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in installed)


def _without_tracker(obj: Any, reduced: Any) -> Any:
    """Take out the random id by which cloudpickle knows a class again.

    It would give each process another identity, and would give two versions of a class that are
    loaded into one process one and the same class object.
    """
    if (
        isinstance(obj, type)
        and isinstance(reduced, tuple)
        and len(reduced[1]) > _TRACKER_AT
        and isinstance(reduced[1][_TRACKER_AT], str)
    ):
        arguments = list(reduced[1])
        arguments[_TRACKER_AT] = None
        return (reduced[0], tuple(arguments), *reduced[2:])
    return reduced


def _imports_within(cls: type) -> set[str]:
    """What the class imports inside its methods, unless it can do without."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # typed into a console
        return set()
    found = scan(cls.__module__, source.encode(), is_package=False, shown=cls.__module__)
    return {item.module for item in found.imports if item.required}


@contextmanager
def _user_modules_by_value() -> Iterator[None]:
    """Have cloudpickle take along what it would refer to by name, for the time of the block."""
    with _REGISTRY_LOCK:
        already = cloudpickle.list_registry_pickle_by_value()
        added = [
            module
            for name, module in list(sys.modules.items())
            if name not in already
            and getattr(module, "__name__", None) == name
            and is_user_module(module)
        ]
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        try:
            yield
        finally:
            for module in added:
                cloudpickle.unregister_pickle_by_value(module)
