"""How Python comes to the modules of bundles: by their names, and by plain ones from their code.

A finder of the names in sys.modules stands first, and one of plain names last: a library that a
bundle uses never gets the bundle's `queue.py`, but may import by its name what its caller has.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType

from zactor.bundles.code_modules import (
    DIGITS,
    CodePackage,
    has_top,
    package_named,
    package_with,
)
from zactor.bundles.code_names import BUNDLE, CODE
from zactor.bundles.manifest import Bundle

_FRAMES_MAX = 200  # that are searched for the bundle whose code imports something by name


class _TargetLoader(importlib.abc.Loader):
    """A name for a module that is called otherwise."""

    def __init__(self, target: ModuleType) -> None:
        self._target = target

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = self._target  # as importlib lets a module do


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of registered bundles, and nothing else."""

    def __init__(self) -> None:
        # Asked for what isn't registered: a bundle's digits, or the identity of a module.
        self.sources: list[Callable[[str, str], Bundle | None]] = []
        self.register: Callable[[Bundle], CodePackage]

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        top, _, inner = fullname.partition(".")
        if top.startswith(CODE):
            package = self._with_module(top.removeprefix(CODE))
        elif top.startswith(BUNDLE):
            package = self._of_bundle(top)
        else:
            return None
        if package is None or not package.has(inner):
            return None
        home = package.home_of(inner)
        if not inner or home == fullname:
            return package.spec(fullname, inner)
        # Loaded before there is anything under the other name, so that modules that import each
        # other find the one that is on its way, not an empty one.
        found = package.load(inner)
        return importlib.machinery.ModuleSpec(fullname, _TargetLoader(found))

    def _with_module(self, identity: str) -> CodePackage | None:
        return package_with(identity) or self._asked("module", identity)

    def _of_bundle(self, name: str) -> CodePackage | None:
        digits = name.removeprefix(BUNDLE)
        return package_named(name) or (
            self._asked("bundle", digits) if len(digits) == DIGITS else None
        )

    def _asked(self, kind: str, digits: str) -> CodePackage | None:
        for source in tuple(self.sources):
            bundle = source(kind, digits)
            if bundle is not None:
                return self.register(bundle)
        return None


class _NameFinder(importlib.abc.MetaPathFinder):
    """Finds what nobody else does, where a library imports by its name what its caller has.

    Last, and only then: what a library itself imports is never a bundle's, which may have a
    `queue.py` of its own.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or not has_top(fullname):
            return None
        package = calling_package()
        if package is None or fullname not in package.modules:
            return None
        # Of another name than what was asked for, so nothing comes to lie under the plain name,
        # where other bundles would find it.
        return package.spec(package.home_of(fullname), fullname)


FINDER = _Finder()
_LAST = _NameFinder()


def install_finder() -> None:
    """Let this process find the modules of bundles."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
        sys.meta_path.append(_LAST)
    if importlib.import_module is not _import_module:
        importlib.import_module = _import_module


def calling_package() -> CodePackage | None:
    """The bundle whose code called us, by whatever way; None: no bundle's."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FRAMES_MAX):
        if frame is None:
            return None
        package = _package_of(frame)
        if package is not None:
            return package
        frame = frame.f_back
    return None


def _package_of(frame: FrameType) -> CodePackage | None:
    top, _, _ = str(frame.f_globals.get("__name__") or "").partition(".")
    if top.startswith(CODE):
        return package_with(top.removeprefix(CODE))
    return package_named(top) if top.startswith(BUNDLE) else None


_original_import_module = importlib.import_module


def _import_module(name: str, package: str | None = None) -> ModuleType:
    top = name.partition(".")[0]
    if has_top(top):
        caller = _package_of(sys._getframe(1))
        if caller is None and not _is_elsewhere(top):
            caller = calling_package()  # a library imports by its name what its caller has
        if caller is not None and caller.has(name):
            return caller.load(name)
    return _original_import_module(name, package)


def _is_elsewhere(top: str) -> bool:
    """Whether this process has a module of that plain name, loaded or not."""
    if top in sys.modules:
        return True
    ours = (FINDER, _LAST)
    return any(
        finder.find_spec(top, None) is not None
        for finder in sys.meta_path
        if finder not in ours and hasattr(finder, "find_spec")
    )


_import_module.__doc__ = _original_import_module.__doc__
_import_module.__name__ = _import_module.__qualname__ = "import_module"
