"""Bring the classes of a bundle to life in this process, each bundle in a package of its own.

The modules of a bundle live in sys.modules under `zactor_bundle_<hash>`, never under their plain
names: two versions run side by side, and what a bundle calls `helper` is no one else's `helper`.
An `import helper` inside a bundle finds the bundle's own module first. Nothing of a bundle is run
before its hash held and `check` passed.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
import threading
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, cast

from zactor.bundles.manifest import PICKLED, SOURCE, Bundle, identity_of, pick_type, source_file
from zactor.bundles.store import BundleStore
from zactor.kernel.errors import BundleRefused, ZactorError, said
from zactor.kernel.wire.unpickle import loads

if TYPE_CHECKING:
    from zactor.kernel.actors.actor import Actor

PREFIX = "zactor_bundle_"
_DIGITS = 16  # of the identity in a package's name: 64 bits, and a clash is refused

_LOCK = threading.Lock()  # over _PACKAGES; never held while something is imported
_PACKAGES: dict[str, _Package] = {}  # by private name
_STORES: list[BundleStore] = []


def check(bundle: Bundle, type_name: str, node: str = "") -> None:
    """Make sure that actors of type `type_name` can be made from `bundle` in this process.

    Args:
        node: who says so in the message; "" leaves it out.

    Raises:
        BundleRefused: an import is missing, pickled code is of another Python, or there is no such
            class. Names the module, what is wanted and what was found. Nothing was run.
    """
    where = f"node {node!r}" if node else "this process"
    manifest = bundle.manifest
    pick_type(manifest, type_name)
    here = sys.version_info[:2]
    if manifest.is_pickled and manifest.python != here:
        raise BundleRefused(
            f"bundle {manifest.name!r} can't run on {where}: its classes were pickled by Python "
            f"{_dots(manifest.python)}, found Python {_dots(here)}; bundle a .py file instead"
        )
    missing = [module for module in manifest.requirements if not _is_importable(module)]
    if missing:
        wanted = ", ".join(
            f"{module} (want {manifest.requirements[module] or 'any version'}, found none)"
            for module in missing
        )
        raise BundleRefused(
            f"bundle {manifest.name!r} can't run on {where}: it imports {wanted}; install it there"
        )


def load_class(bundle: Bundle, type_name: str) -> type[Actor]:
    """Return the class that actors of type `type_name` are made from, the same at every call.

    Threads: any; one bundle's modules are imported by one thread at a time.

    Raises:
        BundleRefused: see `check`; or the code failed while it was loaded.
    """
    check(bundle, type_name)
    target = pick_type(bundle.manifest, type_name)
    while True:
        package = _package(bundle)
        with package.lock:
            if _PACKAGES.get(package.name) is not package:
                continue  # it was forgotten while we waited for the lock
            found = package.classes.get(target)
            if found is None:
                found = package.classes[target] = _load(package, target)
            return cast("type[Actor]", found)


def register(bundle: Bundle) -> str:
    """Make the bundle's modules importable under its private name and return that; run nothing.

    So a pickled instance of one of its classes can be read before an actor of it is deployed here.
    """
    return _package(bundle).name


def attach(store: BundleStore) -> None:
    """Make the modules of every bundle in `store` importable, now and later; run nothing.

    So an actor can read an instance of a class of another actor's bundle, of which no actor was
    deployed here: pickle imports its module.
    """
    if store not in _STORES:
        _STORES.append(store)
    _install_finder()


def detach(store: BundleStore) -> None:
    """The end of `attach`; what is loaded stays."""
    if store in _STORES:
        _STORES.remove(store)


def forget(identity: str) -> None:
    """Drop a bundle's modules and classes from this process; instances live on while in use."""
    package = _PACKAGES.get(private_name(identity))
    if package is None:
        return
    with package.lock:
        if _PACKAGES.get(package.name) is not package:
            return  # another thread was first
        del _PACKAGES[package.name]
        _drop_modules(package.name)
        package.drop_lines()


def private_name(identity: str) -> str:
    """Return the package that the modules of a bundle live in."""
    return PREFIX + identity.partition(":")[2][:_DIGITS]


class _Package:
    """The modules of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.lock = threading.RLock()  # held while its modules are imported, or dropped
        self.classes: dict[str, type] = {}  # loaded ones by target
        self.name = private_name(bundle.identity)
        self.files = {  # path below src/ -> content
            path.removeprefix(SOURCE): data
            for path, data in bundle.parts.items()
            if path.startswith(SOURCE)
        }
        self.folders = {
            "/".join(steps[:count])
            for steps in (path.split("/") for path in self.files)
            for count in range(1, len(steps))
        }
        self.tops = {path.partition("/")[0].removesuffix(".py") for path in self.files}
        self.builtins = {**vars(builtins), "__import__": self._import}
        self._lines: list[str] = []

    def find(self, module: str) -> importlib.machinery.ModuleSpec | None:
        """The spec of a module by its private name, None if the bundle hasn't got it."""
        inner = module.removeprefix(self.name).lstrip(".")
        path = inner.replace(".", "/")
        if f"{path}/__init__.py" in self.files:
            return self._spec(module, f"{path}/__init__.py", is_package=True)
        if f"{path}.py" in self.files:
            return self._spec(module, f"{path}.py", is_package=False)
        if not inner or path in self.folders:
            return self._spec(module, "", is_package=True)
        return None

    def keep_lines(self, file: str, source: bytes) -> None:
        """Let tracebacks show the source of a file that is on no disk."""
        try:
            text = importlib.util.decode_source(source)
        except (SyntaxError, UnicodeDecodeError):
            return
        # No mtime: linecache.checkcache leaves it alone.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        self._lines.append(file)

    def drop_lines(self) -> None:
        """The end of `keep_lines`."""
        for file in self._lines:
            linecache.cache.pop(file, None)

    def _spec(self, module: str, path: str, *, is_package: bool) -> importlib.machinery.ModuleSpec:
        loader = _Loader(self, path)
        # pkgutil finds data beside __file__, so a folder without __init__.py has one too.
        file = f"{module.replace('.', '/')}/__init__.py" if not path else f"{self.name}/{path}"
        spec = importlib.machinery.ModuleSpec(module, loader, origin=file, is_package=is_package)
        spec.has_location = True
        return spec

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
        if level or top not in self.tops:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        private = f"{self.name}.{name}"
        if fromlist:
            return builtins.__import__(private, globals, locals, fromlist, 0)
        importlib.import_module(private)
        return sys.modules[f"{self.name}.{top}"]


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, package: _Package, path: str) -> None:
        self._package = package
        self._path = path  # "" for a folder without __init__.py

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._package.files.get(self._path, b""))

    def get_data(self, path: str) -> bytes:
        """Serve pkgutil.get_data."""
        try:
            return self._package.files[path.removeprefix(f"{self._package.name}/")]
        except KeyError:
            raise FileNotFoundError(path) from None

    def is_package(self, fullname: str) -> bool:
        return not self._path or self._path.endswith("/__init__.py")

    def get_code(self, fullname: str) -> CodeType:
        source = self._package.files.get(self._path, b"")
        code = compile(source, f"{self._package.name}/{self._path}", "exec", dont_inherit=True)
        assert isinstance(code, CodeType)
        return code

    def exec_module(self, module: ModuleType) -> None:
        vars(module)["__builtins__"] = self._package.builtins
        if self._path:
            file = f"{self._package.name}/{self._path}"
            self._package.keep_lines(file, self._package.files[self._path])
        exec(self.get_code(module.__name__), vars(module))


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of registered bundles, and nothing else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        top = fullname.partition(".")[0]
        if not top.startswith(PREFIX):
            return None
        package = _PACKAGES.get(top) or self._from_stores(top)
        return package.find(fullname) if package else None

    def _from_stores(self, top: str) -> _Package | None:
        digits = top.removeprefix(PREFIX)
        if len(digits) != _DIGITS:
            return None
        for store in tuple(_STORES):
            identity = store.beginning_with(digits)
            if identity:
                try:
                    return _package(store.open(identity))
                except ZactorError as error:
                    raise ImportError(f"bundle {identity} can't be used: {error}") from error
        return None


_FINDER = _Finder()


def _install_finder() -> None:
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _package(bundle: Bundle) -> _Package:
    name = private_name(bundle.identity)
    with _LOCK:
        known = _PACKAGES.get(name)
        if known is None:
            # Who has built a Bundle by hand has not been through decode.
            if identity_of(bundle.data) != bundle.identity:
                raise BundleRefused(f"the bundle isn't what its identity {bundle.identity} says")
            known = _PACKAGES[name] = _Package(bundle)
            _install_finder()
    if known.bundle.identity != bundle.identity:
        raise BundleRefused(
            f"bundle {bundle.identity} shares its first {_DIGITS} digits with "
            f"{known.bundle.identity}: one of them was made to deceive"
        )
    return known


def _load(package: _Package, target: str) -> type:
    module_name, _, class_name = target.partition(":")
    try:
        if module_name.startswith(PICKLED):
            found = _unpickle(package, module_name, class_name)
        else:
            module = importlib.import_module(f"{package.name}.{module_name}")
            found = getattr(module, class_name, None)
    except Exception as error:
        # What half a module left behind must not answer the next attempt.
        _drop_modules(package.name)
        raise BundleRefused(
            f"bundle {package.bundle.manifest.name!r} failed while {target} was loaded: "
            f"{said(error)}"
        ) from error
    from zactor.kernel.actors.actor import Actor

    if not isinstance(found, type) or not issubclass(found, Actor):
        raise BundleRefused(
            f"{target} of bundle {package.bundle.manifest.name!r} is no class derived from Actor"
        )
    return found


def _unpickle(package: _Package, part: str, class_name: str) -> object:
    for path, source in package.files.items():
        package.keep_lines(source_file(path, source), source)
    found = loads(package.bundle.parts[part])
    # A class of an installed package came by name and stays what it is.
    if isinstance(found, type) and not _is_at_home(found):
        # Under its plain name pickle would look for it in this process's own modules.
        home = f"{package.name}.{class_name}_"
        module = ModuleType(home)
        vars(module)[class_name] = found
        sys.modules[home] = module
        found.__module__ = home
        found.__qualname__ = class_name
    return found


def _is_at_home(found: type) -> bool:
    at: object = sys.modules.get(found.__module__)
    for step in found.__qualname__.split("."):
        at = getattr(at, step, None)
    return at is found


def _drop_modules(name: str) -> None:
    for module in list(sys.modules):
        if module == name or module.startswith(f"{name}."):
            del sys.modules[module]


def _is_importable(module: str) -> bool:
    if module in sys.modules:
        return True
    importlib.invalidate_caches()
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _dots(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
