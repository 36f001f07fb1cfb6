"""Make a bundle from a .py file, a folder or a class; one that is built already is taken as it is.

The same sources, read by the same Python and with the same libraries, give the same identity.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from zactor.bundles.manifest import SOURCE, Bundle, Manifest, encode, is_bundle, verify
from zactor.bundles.requirements import _is_installed, created_by, requirements_of
from zactor.bundles.scan import Scan, actor_classes, scan
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing
from zactor.kernel.homes import at_home

_SKIPPED_SUFFIXES = (".pyc", ".pyo", ".so", ".swp", "~")


@at_home
def build_bundle(source: str | os.PathLike[str] | type) -> Bundle:
    """Return the bundle of `source`.

    Args:
        source: a .py file: its actor classes, with the modules beside it that it imports;
            a folder: a package, or the modules in it; a class; or the file of a bundle.

    Raises:
        NoSuchThing: there is nothing at that path.
        BundleRefused: there is no actor class in it, it can't be read, or it is too large.
    """
    if isinstance(source, type):
        from zactor.bundles.from_class import build_from_class

        return build_from_class(source)
    path = Path(source)
    if path.is_dir():
        return _build_folder(path.resolve())
    if is_bundle(path):
        return verify(path)
    if not path.exists():
        raise NoSuchThing(f"there is no file or folder {os.fspath(source)!r} to bundle")
    if path.suffix != ".py":
        raise BundleRefused(f"{os.fspath(source)!r} is no .py file, no folder and no bundle")
    return _build_file(path.absolute())


def _build_file(path: Path) -> Bundle:
    modules = _Modules(path.parent)
    modules.add(path.stem, path)
    scans = modules.scans
    own = actor_classes(scans)
    entry = path.stem
    # What the file itself defines; a file that only re-exports offers what it imports.
    chosen = {entry: own[entry]} if entry in own else own
    return _finish(entry, entry, modules.parts, scans, chosen)


def _build_folder(folder: Path) -> Bundle:
    is_package = (folder / "__init__.py").is_file()
    prefix = f"{folder.name}/" if is_package else ""
    if is_package and not folder.name.isidentifier():
        raise BundleRefused(f"the folder's name {folder.name!r} can't be a package's")
    files = {f"{prefix}{name}": file for name, file in _files(folder).items()}
    parts = {SOURCE + name: file.read_bytes() for name, file in files.items()}
    scans = {}
    for name in files:
        module = _module_of(name)
        if module:
            scans[module] = scan(
                module,
                parts[SOURCE + name],
                is_package=name.endswith("/__init__.py"),
                shown=os.fspath(files[name]),
            )
    entry = folder.name if is_package else ""
    return _finish(folder.name, entry, parts, scans, actor_classes(scans))


def _finish(
    name: str,
    entry: str,
    parts: Mapping[str, bytes],
    scans: Mapping[str, Scan],
    chosen: Mapping[str, list[str]],
) -> Bundle:
    types = _types(chosen)
    if not types:
        raise BundleRefused(f"no class in {name!r} derives from Actor")
    local = {module.partition(".")[0] for module in scans}
    needed = {
        item.module
        for one in scans.values()
        for item in one.imports
        if item.required and item.module.partition(".")[0] not in local
    }
    version = scans[entry].version if entry in scans else ""
    manifest = Manifest(
        name=name,
        version=version,
        python=sys.version_info[:2],
        requirements=requirements_of(needed),
        types=types,
        parts={},
        entry=entry,
        created_by=created_by(),
    )
    return encode(manifest, parts)


def _types(chosen: Mapping[str, list[str]]) -> dict[str, str]:
    """Each class by its name and by that in lower case; where two collide, by module as well."""
    offers: dict[str, set[str]] = {}
    for module, names in chosen.items():
        for name in names:
            for key in (name, name.lower()):
                offers.setdefault(key, set()).add(f"{module}:{name}")
    types = {}
    for key, targets in offers.items():
        if len(targets) == 1:
            types[key] = next(iter(targets))
            continue
        for target in targets:
            types[target.replace(":", ".")] = target
    return types


def _module_of(name: str) -> str:
    """The module that a file is ("" for data): `pkg/__init__.py` is `pkg`."""
    stem, dot, suffix = name.rpartition(".")
    steps = stem.split("/")
    if suffix != "py" or not dot or not all(step.isidentifier() for step in steps):
        return ""
    if steps[-1] == "__init__":
        steps.pop()
    return ".".join(steps)


def _files(folder: Path) -> dict[str, Path]:
    """Everything in a folder that belongs to a program, by its path with slashes."""
    found: dict[str, Path] = {}
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name != "__pycache__"
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in [*folders, *sorted(names)]:
            path = here / name
            if path.is_symlink() and not path.resolve().is_relative_to(folder):
                raise BundleRefused(f"{os.fspath(path)!r} is a link out of the folder")
            if name in folders or name.startswith(".") or name.endswith(_SKIPPED_SUFFIXES):
                continue
            if not path.is_file():  # a pipe would block the builder for ever
                raise BundleRefused(f"{os.fspath(path)!r} is no plain file")
            found[path.relative_to(folder).as_posix()] = path
            if len(found) > limits.BUNDLE_FILES_MAX:
                raise BundleRefused(
                    f"{os.fspath(folder)!r} has more than BUNDLE_FILES_MAX="
                    f"{limits.BUNDLE_FILES_MAX} files"
                )
    return found


class _Modules:
    """A module and those beside it that it imports, and those that they import, and so on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.parts: dict[str, bytes] = {}
        self.scans: dict[str, Scan] = {}

    def add(self, module: str, file: Path) -> None:
        """Take in a module, and then what it imports from the same folder."""
        if module in self.scans:
            return
        if len(self.parts) >= limits.BUNDLE_FILES_MAX:
            raise BundleRefused(
                f"{module!r} needs more than BUNDLE_FILES_MAX={limits.BUNDLE_FILES_MAX} files"
            )
        try:
            source = file.read_bytes()
        except OSError as error:
            raise NoSuchThing(f"can't read {os.fspath(file)!r}: {error.strerror}") from None
        is_package = file.name == "__init__.py"
        self.parts[SOURCE + file.relative_to(self._folder).as_posix()] = source
        self.scans[module] = one = scan(
            module, source, is_package=is_package, shown=os.fspath(file)
        )
        for item in one.imports:
            self._follow(item.module or item.name)

    def _follow(self, module: str) -> None:
        top = module.partition(".")[0]
        if top in ("", "zactor"):
            return
        file = self._folder / f"{top}.py"
        folder = self._folder / top
        if (folder / "__init__.py").is_file() or (
            not file.is_file() and any(folder.glob("*.py")) and not _is_installed(top)
        ):
            for name, path in _files(folder).items():
                inner = _module_of(f"{top}/{name}")
                if inner:
                    self.add(inner, path)
                else:
                    self.parts[f"{SOURCE}{top}/{name}"] = path.read_bytes()
        elif file.is_file():
            self.add(top, file)
