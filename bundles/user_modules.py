"""Modules of the running program that a node can't be expected to have, and what they are there.

A program's own `messages` is the `messages` of a bundle where both have the same content, and the
same of what it imports: then instances of its classes are instances of the bundle's, and back.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from zactor.bundles.closure import Closure, module_name
from zactor.bundles.identities import identities_of
from zactor.bundles.imported_modules import identity_alone
from zactor.bundles.requirements import is_installed
from zactor.bundles.scan import Import, scan
from zactor.kernel.errors import ZactorError

_INSTALLED = {sysconfig.get_path(kind) for kind in ("stdlib", "platlib", "purelib")}


@dataclass(frozen=True)
class UserModule:
    """A module of this program, as a bundle would have it."""

    module: str  # its plain name
    identity: str
    root: Path
    file: Path

    @cached_property
    def closure(self) -> Closure:
        """The module with all that it needs, its whole package among that.

        Raises:
            ZactorError: it can't be bundled.
        """
        closure = Closure(self.root)
        top = self.module.partition(".")[0]
        if self.file.name == "__init__.py" or "." in self.module:
            closure.add_package(top, self.root / top, "the class needs it")
        else:
            closure.add(self.module, self.file, "the class needs it")
        closure.add_named_files()
        return closure

    @cached_property
    def stands_alone(self) -> bool:
        """Whether all that it needs to be loaded is in the closure, or installed."""
        try:
            return not needed_elsewhere(self.closure, loose=True)
        except ZactorError:
            return False


_KNOWN: dict[tuple[str, str], tuple[int, UserModule | None]] = {}  # (module, file) -> mtime, …


def user_module(module: ModuleType) -> UserModule | None:
    """Return what `module` is, None if it can't be told from one file: typed in, made, compiled."""
    place = _place_of(module)
    return None if place is None else _of_file(*place)


def _place_of(module: ModuleType) -> tuple[str, Path] | None:
    """The plain name of a module, and its file."""
    name = module.__name__
    file = getattr(module, "__file__", None)
    if not file or not file.endswith(".py"):
        return None
    path = Path(file).absolute()
    if name == "__main__":
        path = path.resolve()
        name = module_name(path.stem)
    return name, path


def falls_short(module: ModuleType) -> bool:
    """Whether its own imports alone tell that it doesn't stand alone: its package isn't read."""
    place = _place_of(module)
    if place is None:
        return True
    name, path = place
    try:
        root = _root_of(name, path)
        there = {entry.partition(".")[0] for entry in os.listdir(root)}
        is_package = path.name == "__init__.py"
        one = scan(name, path.read_bytes(), is_package=is_package, shown=os.fspath(path))
    except (ZactorError, OSError):  # it goes by value, as what was typed in does
        return True
    tops = there | {name.partition(".")[0]}
    return any(_is_needed(item, tops) and not _is_common(item.module) for item in one.imports)


def find_user_module(name: str) -> ModuleType | None:
    """Return the module that this program means by a plain name, or None.

    The file that runs as `__main__` has two names; it isn't loaded again for the other.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if main is not None and file and module_name(Path(file).resolve().stem) == name:
        return main
    return sys.modules.get(name)


def file_of(name: str) -> Path | None:
    """Return the file beside this program's modules that `import name` would load, or None."""
    for folder in sys.path:
        path = Path(folder or os.curdir, *name.split("."))
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file.absolute()
    return None


def of_file(name: str, file: Path) -> UserModule | None:
    """Return what the module `name`, which isn't imported yet, would be if `file` is it."""
    return _of_file(name, file)


def _of_file(name: str, path: Path) -> UserModule | None:
    key = (name, os.fspath(path))
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return None
    known = _KNOWN.get(key)
    if known is None or known[0] != changed:
        known = _KNOWN[key] = (changed, _read(name, path))
    return known[1]


def _read(name: str, path: Path) -> UserModule | None:
    root = _root_of(name, path)
    try:
        identity = identity_alone(root, name, path)
        if identity is None:
            closure = UserModule(name, "", root, path).closure
            identity = identities_of(closure.parts, closure.scans).get(name)
    except (ZactorError, OSError):  # it goes by value, as what was typed in does
        return None
    return None if identity is None else UserModule(name, identity, root, path)


def _root_of(name: str, path: Path) -> Path:
    """The folder from which a module's whole name leads to its file."""
    root = path.parent.parent if path.name == "__init__.py" else path.parent
    for _ in range(name.count(".")):
        root = root.parent
    return root


def needed_elsewhere(closure: Closure, *, loose: bool = False) -> set[str]:
    """Return the modules that a closure needs and hasn't got.

    Args:
        loose: leave those out that are installed.
    """
    tops = {module.partition(".")[0] for module in closure.scans}
    return {
        item.module
        for one in closure.scans.values()
        for item in one.imports
        if _is_needed(item, tops) and not (loose and _is_common(item.module))
    }


def _is_needed(item: Import, tops: set[str]) -> bool:
    return item.required and item.module.partition(".")[0] not in tops | {""}


def _is_common(name: str) -> bool:
    """Whether every node may be expected to have the module, or to be told to."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == "zactor":
        return True
    module = sys.modules.get(top)
    return not is_user_module(module) if module is not None else is_installed(top)


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
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in _INSTALLED)
