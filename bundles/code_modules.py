"""The modules of bundles in this process: found, loaded and shared by Python's own machinery.

A module is loaded from the folder of a bundle that has it, once for all bundles that have the same
(bundles/identities.py), under a name of its own (bundles/code_names.py). Never under its plain
name: two versions run side by side, and what a bundle calls `helper` is no one else's `helper`.
What a bundle's module imports is looked for in its bundle first, whichever way it is imported.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from zactor.bundles.closure import module_of
from zactor.bundles.code_names import BUNDLE, CODE, code_name, plain_name
from zactor.bundles.identities import identities_of
from zactor.bundles.manifest import SOURCE, Bundle
from zactor.bundles.scan import Scan, scan
from zactor.kernel.errors import BundleRefused

DIGITS = 16  # of the identity in a package's name: 64 bits, and a clash is refused

_LOCK = threading.Lock()  # over what follows; never held while something is imported
_BY_NAME: dict[str, CodePackage] = {}  # by private name
_BY_MODULE: dict[str, CodePackage] = {}  # identity of a module -> a bundle that has it
_TOPS: set[str] = set()  # first steps of the plain names of all modules


def private_name(identity: str) -> str:
    """Return the package that the modules of a bundle can be reached in."""
    return BUNDLE + identity.partition(":")[2][:DIGITS]


class CodePackage:
    """The modules of one bundle."""

    def __init__(self, bundle: Bundle, root: Path) -> None:
        """`root` is where the bundle is unpacked."""
        self.bundle = bundle
        self.root = root
        self.lock = threading.RLock()  # held while its classes are loaded, or dropped
        self.classes: dict[str, type] = {}  # loaded ones by target
        self.name = private_name(bundle.identity)
        self.files = {  # path below src/ -> content
            path.removeprefix(SOURCE): data
            for path, data in bundle.parts.items()
            if path.startswith(SOURCE)
        }
        self._folders = {
            "/".join(steps[:count])
            for steps in (path.split("/") for path in self.files)
            for count in range(1, len(steps))
        }
        self.modules: Mapping[str, str] = bundle.manifest.modules or _identities(bundle)
        self.tops = {path.partition("/")[0].partition(".")[0] for path in self.files}
        self.builtins = {**vars(builtins), "__import__": self._import}

    def has(self, module: str) -> bool:
        """Whether the bundle has a module, or a folder of modules, of that plain name."""
        return module in self.modules or self.file_of(module) is not None

    def file_of(self, module: str) -> str | None:
        """The file of a module, "" for a folder without `__init__.py`, None: it hasn't got it."""
        path = module.replace(".", "/")
        if f"{path}/__init__.py" in self.files:
            return f"{path}/__init__.py"
        for suffix in (*importlib.machinery.EXTENSION_SUFFIXES, ".py"):
            if f"{path}{suffix}" in self.files:
                return f"{path}{suffix}"
        return "" if not module or path in self._folders else None

    def home_of(self, module: str) -> str:
        """What the module is called in sys.modules."""
        identity = self.modules.get(module)
        if identity is None:
            return f"{self.name}.{module}".rstrip(".")
        return code_name(identity, module)

    def load(self, module: str) -> ModuleType:
        """Import a module by its plain name, and those above it, as Python does."""
        parent, _, last = module.rpartition(".")
        above = self.load(parent) if parent else None
        found = importlib.import_module(self.home_of(module))
        if above is not None:
            setattr(above, last, found)
        return found

    def spec(self, name: str, module: str) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module that is loaded from here under `name`."""
        path = self.file_of(module)
        if path is None:
            return None
        if path.endswith(".py") or not path:
            steps = path or f"{module.replace('.', '/')}/__init__.py".lstrip("/")
            file = str(self.root / steps)
            return importlib.util.spec_from_file_location(
                name,
                file,
                loader=_Loader(name, file, self, module),
                submodule_search_locations=[str(Path(file).parent)]
                if file.endswith("__init__.py")
                else None,
            )
        return importlib.util.spec_from_file_location(name, self.root / path)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """`__import__` as the bundle's modules see it: their own first."""
        top = name.partition(".")[0]
        if not level and top not in self.tops:
            return builtins.__import__(name, globals, locals, fromlist or (), 0)
        wanted = self._absolute(name, globals, level) if level else name
        if not self.has(wanted):
            if not level and (self.file_of(top) == "" or not self.has(top)):
                # Other parts of a namespace, or what only looks like a module.
                return builtins.__import__(name, globals, locals, fromlist or (), 0)
            raise ModuleNotFoundError(f"No module named {wanted!r}", name=wanted)
        found = self.load(wanted)
        if not fromlist:
            return found if level else self.load(top)
        self._load_named(wanted, found, fromlist)
        return found

    def _absolute(self, name: str, globals: Mapping[str, object] | None, level: int) -> str:
        package = plain_name(str((globals or {}).get("__package__") or ""))
        steps = package.split(".") if package else []
        if level - 1 > len(steps):
            raise ImportError("attempted relative import beyond top-level package")
        return ".".join([*steps[: len(steps) - level + 1], *filter(None, [name])])

    def _load_named(self, module: str, found: ModuleType, fromlist: Sequence[str]) -> None:
        """Import those names that are modules, as `from package import module` does."""
        if not hasattr(found, "__path__"):
            return
        for name in fromlist:
            if name == "*":
                self._load_named(module, found, getattr(found, "__all__", ()))
            elif not hasattr(found, name):
                inner = f"{module}.{name}".lstrip(".")
                if self.has(inner):
                    setattr(found, name, self.load(inner))
                elif module and self.file_of(module) == "":
                    # A namespace may have another part, which is installed.
                    with contextlib.suppress(ModuleNotFoundError):
                        setattr(found, name, importlib.import_module(inner))


class _Loader(importlib.machinery.SourceFileLoader):
    """Python's own, with the bundle's bytes for those of the disk, and the bundle's imports."""

    def __init__(self, name: str, path: str, package: CodePackage, module: str) -> None:
        super().__init__(name, path)
        self._package = package
        self._module = module

    def get_data(self, path: str) -> bytes:
        inner = path.removeprefix(f"{self._package.root}/")
        data = self._package.files.get(inner)
        if data is not None:
            return data
        if path == self.path:
            return b""  # a folder without __init__.py
        return super().get_data(path)

    def path_stats(self, path: str) -> Mapping[str, Any]:
        raise OSError("a bundle's modules have no bytecode")

    def get_code(self, fullname: str) -> CodeType | None:
        # What it imports may be of another version than Python's optimiser would think: nothing
        # of our own flags (annotations) may reach it.
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._package.builtins
        parent = self._module.rpartition(".")[0]
        if parent:  # a pickle may name a module whose package nobody has imported yet
            self._package.load(parent)
        super().exec_module(module)


def add_package(bundle: Bundle, unpack: Callable[[Bundle], Path]) -> CodePackage:
    """Return the package of a bundle, made if need be; runs nothing of it.

    Raises:
        BundleRefused: it shares its digits with another, or can't be unpacked.
    """
    name = private_name(bundle.identity)
    known = _BY_NAME.get(name)
    if known is None:
        made = CodePackage(bundle, unpack(bundle))
        with _LOCK:
            known = _BY_NAME.setdefault(name, made)
            if known is made:
                _TOPS.update(made.tops)
                for identity in made.modules.values():
                    _BY_MODULE.setdefault(identity, made)
    if known.bundle.identity != bundle.identity:
        raise BundleRefused(
            f"bundle {bundle.identity} shares its first {DIGITS} digits with "
            f"{known.bundle.identity}: one of them was made to deceive"
        )
    return known


def package_named(name: str) -> CodePackage | None:
    """Return the package of that private name, if there is one."""
    return _BY_NAME.get(name)


def package_with(module_identity: str) -> CodePackage | None:
    """Return a package that has the module of that identity, if one is registered."""
    return _BY_MODULE.get(module_identity)


def has_top(top: str) -> bool:
    """Whether a bundle has a module whose plain name begins so."""
    return top in _TOPS


def packages() -> list[CodePackage]:
    """Return all that are registered."""
    return list(_BY_NAME.values())


def remove_package(package: CodePackage) -> None:
    """Forget a package; modules that no other bundle has go."""
    with _LOCK:
        if _BY_NAME.get(package.name) is not package:
            return
        del _BY_NAME[package.name]
        for identity in package.modules.values():
            if _BY_MODULE.get(identity) is package:
                del _BY_MODULE[identity]
        for other in _BY_NAME.values():
            for identity in other.modules.values():
                _BY_MODULE.setdefault(identity, other)
        _TOPS.clear()
        _TOPS.update(*(other.tops for other in _BY_NAME.values()))
    drop_modules(package, ())


def drop_modules(package: CodePackage, kept: Sequence[str]) -> None:
    """Take a package's modules out of sys.modules, but for `kept` and for what others share."""
    shared = {
        identity
        for other in packages()
        if other is not package
        for identity in other.modules.values()
    }
    own = {f"{CODE}{one}" for one in package.modules.values() if one not in shared}
    own.add(package.name)
    for name in list(sys.modules):
        if name.partition(".")[0] in own and name not in kept:
            sys.modules.pop(name, None)


def _identities(bundle: Bundle) -> dict[str, str]:
    """Those of a bundle that was made before manifests had them."""
    scans: dict[str, Scan] = {}
    for path, data in bundle.parts.items():
        name = path.removeprefix(SOURCE)
        module = module_of(name) if path.startswith(SOURCE) else ""
        if module and name.endswith(".py"):
            try:
                scans[module] = scan(
                    module, data, is_package=name.endswith("__init__.py"), shown=path
                )
            except BundleRefused:
                continue
    return identities_of(bundle.parts, scans)
