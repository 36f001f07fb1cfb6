"""Bundle a class that is in memory, so that no node needs its module.

Where its module can be had as a file and stands alone, the bundle is that of the file. Else the
class travels by value, with what it reaches in its own module; the user's other modules that stand
alone go along as sources, the same modules as in any other bundle that has them. What lies in
installed packages is referred to by name and becomes a requirement. The sources of the pickled code
go along for tracebacks only.

A class that goes by value is known again by its content: two actors of one program share it, and
the program gets its own back.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import linecache
import os
import re
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import cloudpickle

from zactor.bundles import decorated
from zactor.bundles.identities import identities_of
from zactor.bundles.manifest import PICKLED, SOURCE, Bundle, Manifest, encode, source_file
from zactor.bundles.needs import tops_of, wanted_by
from zactor.bundles.references import code_of, reference_alone
from zactor.bundles.requirements import created_by, platform_of, requirements_of
from zactor.bundles.scan import Scan, scan
from zactor.bundles.user_modules import UserModule, is_user_module, needed_elsewhere
from zactor.kernel.errors import BundleRefused
from zactor.kernel.wire.by_value import ByValuePickler
from zactor.kernel.wire.unpickle import mark_whole

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
    known = reference_alone(cls) if cls.__qualname__ == name else None
    if known is not None:
        return _of_module(cls, known)
    target = io.BytesIO()
    pickler = _Pickler(target, cls)
    try:
        with _user_modules_by_value():
            pickler.dump(cls)
    except Exception as error:
        raise BundleRefused(
            f"class {name!r} can't be bundled from memory: {type(error).__name__}: {error}; "
            f"make such things in on_start, or bundle the .py file"
        ) from error
    modules, scans = pickler.module_parts()
    needed = set().union(*(needed_elsewhere(one.closure) for one in pickler.modules.values()))
    within = _imports_within(cls)
    requirements = requirements_of(pickler.needed | within[True] | needed)
    manifest = Manifest(
        name=name.lower(),
        version=str(getattr(sys.modules.get(cls.__module__), "__version__", "")),
        python=sys.version_info[:2],
        requirements=requirements,
        types={name: f"{PICKLED}{name}:{name}", name.lower(): f"{PICKLED}{name}:{name}"},
        parts={},
        entry="",
        created_by=created_by(),
        optional={
            module: version
            for module, version in requirements_of(within[False]).items()
            if module not in requirements
        },
        modules=identities_of(modules, scans),
        platform=platform_of(modules),
    )
    sources = {path: text for path, text in pickler.sources.items() if path not in modules}
    for tracker, tracked in pickler.trackers.items():
        _track(tracked, tracker)
    return encode(manifest, {f"{PICKLED}{name}": target.getvalue(), **sources, **modules})


def _of_module(cls: type, known: UserModule) -> Bundle:
    """The bundle of a class whose module can be had as a file: that, and what it needs."""
    parts, scans = known.closure.parts, known.closure.scans
    name, target = cls.__name__, f"{known.module}:{cls.__name__}"
    wanted = wanted_by(scans, tops_of(parts), [known.module])
    requirements = requirements_of(wanted[True])
    manifest = Manifest(
        name=name.lower(),
        version=scans[known.module].version,
        python=sys.version_info[:2],
        requirements=requirements,
        types={name: target, name.lower(): target},
        parts={},
        entry=known.module,
        created_by=created_by(),
        optional={
            module: version
            for module, version in requirements_of(wanted[False]).items()
            if module not in requirements
        },
        modules=identities_of(parts, scans),
        platform=platform_of(parts),
    )
    return encode(manifest, parts)


class _Pickler(ByValuePickler):
    """One whose output doesn't depend on the process, and whose sources not on the folder."""

    def __init__(self, file: io.BytesIO, cls: type, *, tracking: bool = True) -> None:
        """`tracking` gives the classes that go by value, but for `cls`, ids of their content."""
        super().__init__(file)
        self._cls = cls
        self._tracking = tracking
        self.trackers: dict[str, type] = {}  # id -> class that goes by value
        self.modules: dict[str, UserModule] = {}  # that go along as sources, by plain name
        self.needed: set[str] = set()  # modules that are referred to by name
        self.sources: dict[str, bytes] = {}
        self._files: dict[str, str] = {}  # co_filename -> the same for every builder

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, FunctionType):
            # Of a module that lies in no file only its loader has the source: ask it if need be.
            linecache.lazycache(obj.__code__.co_filename, obj.__globals__)
        again = decorated.reduced(obj)
        if again is not None:
            return again
        known = self._reference(obj)
        if known is not None:
            self.modules[known.module] = known
            return code_of, (known.identity, known.module, getattr(obj, "__qualname__", ""))
        reduced = super().reducer_override(obj)
        if reduced is NotImplemented:
            if isinstance(obj, type | FunctionType | BuiltinFunctionType):
                self.needed.add(getattr(obj, "__module__", None) or "")
            elif isinstance(obj, ModuleType) and not is_user_module(obj):
                self.needed.add(obj.__name__)
            self.needed.discard("cloudpickle.cloudpickle")
            return reduced
        return _with_tracker(obj, reduced, self._tracker(obj, reduced))

    def _reference(self, obj: object) -> UserModule | None:
        if getattr(obj, "__module__", None) == self._cls.__module__:
            return None
        return reference_alone(obj)

    def _tracker(self, obj: Any, reduced: Any) -> str | None:
        if not self._tracking or obj is self._cls or not _has_tracker(obj, reduced):
            return None
        target = io.BytesIO()
        _Pickler(target, obj, tracking=False).dump(obj)
        tracker = f"zactor:{hashlib.sha256(target.getvalue()).hexdigest()}"
        self.trackers[tracker] = obj
        return tracker

    def module_parts(self) -> tuple[dict[str, bytes], dict[str, Scan]]:
        """Return the sources that go along, by path in the bundle, and what was found in them."""
        parts: dict[str, bytes] = {}
        scans: dict[str, Scan] = {}
        for one in self.modules.values():
            parts |= one.closure.parts
            scans |= one.closure.scans
        return parts, scans

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


def _with_tracker(obj: Any, reduced: Any, tracker: str | None) -> Any:
    """Put `tracker` in the place of the random id by which cloudpickle knows a class again.

    A random one would give each process another identity, and would give two versions of a class
    that are loaded into one process one and the same class object.
    """
    if not _has_tracker(obj, reduced):
        return reduced
    arguments = list(reduced[1])
    arguments[_TRACKER_AT] = tracker
    return (reduced[0], tuple(arguments), *reduced[2:])


def _has_tracker(obj: Any, reduced: Any) -> bool:
    return (
        isinstance(obj, type)
        and isinstance(reduced, tuple)
        and len(reduced[1]) > _TRACKER_AT
        and isinstance(reduced[1][_TRACKER_AT], str)
    )


def _track(cls: type, tracker: str) -> None:
    """Let this program's own class be what comes back of it."""
    own = cloudpickle.cloudpickle
    with own._DYNAMIC_CLASS_TRACKER_LOCK:
        own._DYNAMIC_CLASS_TRACKER_BY_CLASS[cls] = tracker
        own._DYNAMIC_CLASS_TRACKER_BY_ID[tracker] = cls
    mark_whole(cls)


def _imports_within(cls: type) -> dict[bool, set[str]]:
    """What the class imports inside its methods; True: it can't do without."""
    wanted: dict[bool, set[str]] = {True: set(), False: set()}
    try:
        source = textwrap.dedent(inspect.getsource(cls))
        found = scan(cls.__module__, source.encode(), is_package=False, shown=cls.__module__)
    except (OSError, TypeError, BundleRefused):  # typed into a console
        return wanted
    for item in found.imports:
        if item.runs:
            wanted[item.required].add(item.module)
    return wanted


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
