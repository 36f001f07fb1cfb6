"""Bring the classes of a bundle to life in this process, and find what pickles name of them.

Two versions run side by side; what their modules have in common is one (bundles/code_modules.py).
Nothing of a bundle is run before its hash held and `check` passed.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import linecache
import sys
import sysconfig
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from zactor.bundles import code_modules
from zactor.bundles.closure import module_of
from zactor.bundles.code_finder import FINDER, install_finder
from zactor.bundles.code_modules import CodePackage, private_name
from zactor.bundles.manifest import (
    PICKLED,
    SOURCE,
    Bundle,
    Manifest,
    identity_of,
    pick_type,
    source_file,
)
from zactor.bundles.store import BundleStore
from zactor.bundles.unpacked import PrivateUnpackedBundles
from zactor.bundles.versions import tell_of_twins
from zactor.kernel.errors import BundleRefused, ZactorError, said
from zactor.kernel.wire.unpickle import loads

if TYPE_CHECKING:
    from zactor.kernel.actors.actor import Actor

_STORES: list[BundleStore] = []
_PRIVATE: list[
    PrivateUnpackedBundles
] = []  # one at most: for bundles that are in no attached store
_PRIVATE_LOCK = threading.Lock()
_LINES: dict[str, list[str]] = {}  # private name -> what was put into linecache


def check(bundle: Bundle, type_name: str, node: str = "", *, imports: bool = True) -> None:
    """Make sure that actors of type `type_name` can be made from `bundle` in this process.

    Args:
        node: who says so in the message; "" leaves it out.
        imports: what it imports must be here, too.

    Raises:
        BundleRefused: an import is missing, pickled code is of another Python, or there is no such
            class. Names the module, what is wanted and what was found. Nothing was run.
    """
    where = f"node {node!r}" if node else "this process"
    manifest = bundle.manifest
    module = pick_type(manifest, type_name).partition(":")[0]
    needed = manifest.needs.get(module, tuple(manifest.requirements))
    here = sys.version_info[:2]
    if manifest.is_pickled and manifest.python != here:
        raise BundleRefused(
            f"bundle {manifest.name!r} can't run on {where}: its classes were pickled by Python "
            f"{_dots(manifest.python)}, found Python {_dots(here)}; bundle a .py file instead"
        )
    _check_compiled(manifest, where)
    missing = [module for module in needed if imports and not _is_importable(module)]
    if missing:
        wanted = ", ".join(
            f"{module} (want {manifest.requirements.get(module) or 'any version'}, found none)"
            for module in missing
        )
        asked = f" (its author asks for {', '.join(manifest.wants)})" if manifest.wants else ""
        raise BundleRefused(
            f"bundle {manifest.name!r} can't run on {where}: it imports {wanted}; "
            f"install it there{asked}"
        )


def missing_optional(bundle: Bundle) -> list[str]:
    """Return the modules that it imports somewhere, may do without, and that aren't here."""
    return [module for module in bundle.manifest.optional if not _is_importable(module)]


def _check_compiled(manifest: Manifest, where: str) -> None:
    """A module that is there in compiled form only must be of this Python and platform."""
    here = sysconfig.get_platform()
    names = [path.removeprefix(SOURCE) for path in manifest.parts if path.startswith(SOURCE)]
    readable = {module_of(name) for name in names if name.endswith(".py")}
    for name in names:
        module = module_of(name)
        if not module or module in readable:
            continue
        fits = any(
            name == f"{module.replace('.', '/')}{suffix}"
            for suffix in importlib.machinery.EXTENSION_SUFFIXES
        )
        if not fits or manifest.platform != here:
            raise BundleRefused(
                f"bundle {manifest.name!r} can't run on {where}: {name} was compiled for "
                f"{manifest.platform}, Python {_dots(manifest.python)}, found {here}, "
                f"Python {_dots(sys.version_info[:2])}"
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
            if code_modules.package_named(package.name) is not package:
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
    deployed here: pickle imports its module. Bundles of it are unpacked beside it.
    """
    if store not in _STORES:
        _STORES.append(store)
    install_finder()


def detach(store: BundleStore) -> None:
    """The end of `attach`; what is loaded stays."""
    if store in _STORES:
        _STORES.remove(store)


def loaded_identities() -> set[str]:
    """Return the bundles whose files this process may still read."""
    return {package.bundle.identity for package in code_modules.packages()}


def forget(identity: str) -> None:
    """Drop a bundle's modules and classes from this process; instances live on while in use.

    What it shares with other bundles stays.
    """
    package = code_modules.package_named(private_name(identity))
    if package is None:
        return
    with package.lock:
        code_modules.remove_package(package)
        for file in _LINES.pop(package.name, ()):
            linecache.cache.pop(file, None)


def remove_private() -> None:
    """Remove what was unpacked for bundles that are in no store; the end of the process does so."""
    with _PRIVATE_LOCK:
        while _PRIVATE:
            _PRIVATE.pop().remove()


def _package(bundle: Bundle) -> CodePackage:
    known = code_modules.package_named(private_name(bundle.identity))
    if known is None and identity_of(bundle.data) != bundle.identity:
        # Who has built a Bundle by hand has not been through decode.
        raise BundleRefused(f"the bundle isn't what its identity {bundle.identity} says")
    install_finder()
    return code_modules.add_package(bundle, _unpack)


def _unpack(bundle: Bundle) -> Path:
    for store in tuple(_STORES):
        if store.has(bundle.identity):
            return store.unpacked.path_of(bundle)
    with _PRIVATE_LOCK:
        if not _PRIVATE:
            _PRIVATE.append(PrivateUnpackedBundles())
    return _PRIVATE[0].path_of(bundle)


def _from_stores(kind: str, digits: str) -> Bundle | None:
    """The bundle whose hash begins so, or that has the module of that identity."""
    for store in tuple(_STORES):
        if kind == "bundle":
            identity = store.beginning_with(digits)
        else:
            identity = store.with_module(digits)
        if identity:
            try:
                return store.open(identity)
            except ZactorError as error:
                raise ImportError(f"bundle {identity} can't be used: {error}") from error
    return None


FINDER.sources.append(_from_stores)
FINDER.register = _package


def _load(package: CodePackage, target: str) -> type:
    module_name, _, class_name = target.partition(":")
    before = tuple(sys.modules)
    try:
        if module_name.startswith(PICKLED):
            found = _unpickle(package, module_name, class_name)
        else:
            module = package.load(module_name)
            _tell_of_twins(package, before)
            found = getattr(module, class_name, None)
    except Exception as error:
        # What half a module left behind must not answer the next attempt.
        code_modules.drop_modules(package, before)
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


def _unpickle(package: CodePackage, part: str, class_name: str) -> object:
    for path, source in package.files.items():
        _keep_lines(package, source_file(path, source), source)
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


def _tell_of_twins(package: CodePackage, before: Sequence[str]) -> None:
    """Log which modules with classes came now that were here in another version."""
    known = set(before)
    for module, identity in package.modules.items():
        name = package.home_of(module)
        loaded = sys.modules.get(name)
        if name in known or loaded is None or not _has_messages(loaded):
            continue
        tell_of_twins(module, identity, before)


def _has_messages(module: ModuleType) -> bool:
    """Whether a module defines classes that are no actors: what travels, as a rule."""
    from zactor.kernel.actors.actor import Actor

    return any(
        isinstance(value, type)
        and value.__module__ == module.__name__
        and not issubclass(value, Actor)
        for value in list(vars(module).values())
    )


def _keep_lines(package: CodePackage, file: str, source: bytes) -> None:
    """Let tracebacks show the source of a file that is on no disk."""
    try:
        text = importlib.util.decode_source(source)
    except (SyntaxError, UnicodeDecodeError):
        return
    # No mtime: linecache.checkcache leaves it alone.
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    _LINES.setdefault(package.name, []).append(file)


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
