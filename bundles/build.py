"""Make a bundle from a .py file, a folder or a class; one that is built already is taken as it is.

The same sources, read by the same Python and with the same libraries, give the same identity.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zactor.bundles.actor_classes import ActorTypes, Classes, actor_classes, passed_on
from zactor.bundles.closure import Closure, module_name, module_of
from zactor.bundles.contents import contents_of
from zactor.bundles.identities import identities_of
from zactor.bundles.manifest import SOURCE, Bundle, Manifest, encode, is_bundle, verify
from zactor.bundles.needs import needs_of, reached, tops_of, wanted_by
from zactor.bundles.requirements import created_by, platform_of, requirements_of
from zactor.bundles.scan import Scan, scan
from zactor.bundles.wanted import wanted_versions
from zactor.kernel.errors import BundleRefused, NoSuchThing
from zactor.kernel.homes import at_home

_TESTS = {"tests", "test"}  # folders that only a project's tests need
_TOOLS = {"setup.py", "conftest.py", "noxfile.py"}


@dataclass(frozen=True, slots=True)
class BundleSummary:
    """A bundle, with what people want to know of how it came about."""

    bundle: Bundle
    why: dict[str, str] = field(default_factory=dict)  # path in the bundle -> why it is in it
    left: dict[str, str] = field(default_factory=dict)  # path -> why it isn't in it


@at_home
def build_bundle(source: str | os.PathLike[str] | type) -> Bundle:
    """Return the bundle of `source`.

    Args:
        source: a .py file: its actor classes, with the modules beside it that it imports and the
            files that it names; a folder: a package, or the modules in it; a class; or the file
            of a bundle.

    Raises:
        NoSuchThing: there is nothing at that path.
        BundleRefused: there is no actor class in it, it can't be read, or it is too large.
    """
    if isinstance(source, type):
        from zactor.bundles.from_class import build_from_class

        return build_from_class(source)
    return build(source).bundle


def build(source: str | os.PathLike[str]) -> BundleSummary:
    """Return the bundle of a file or folder, and what went into it and why.

    Raises:
        NoSuchThing, BundleRefused: as `build_bundle`.
    """
    path = Path(source)
    if path.is_dir():
        return _build_folder(path.resolve())
    if is_bundle(path):
        return BundleSummary(verify(path))
    if not path.exists():
        raise NoSuchThing(f"there is no file or folder {os.fspath(source)!r} to bundle")
    # Python, too, looks beside the file that a link leads to.
    real = path.resolve()
    if ".py" not in (path.suffix, real.suffix):
        raise BundleRefused(f"{os.fspath(source)!r} is no .py file, no folder and no bundle")
    return _build_file(real)


def _build_file(path: Path) -> BundleSummary:
    entry = module_name(path.name.removesuffix(".py"))
    if (path.parent / f"{entry}.py").exists() and path.stem != entry:
        raise BundleRefused(
            f"{os.fspath(path)!r} has a dot in its name and would be the module {entry!r}, which "
            f"{entry}.py is already: rename one of them"
        )
    closure = Closure(path.parent)
    closure.add(entry, path, "what was asked for")
    closure.add_named_files()
    scans = closure.scans
    # What the file itself defines; a file that only re-exports offers what it imports.
    found = actor_classes(scans, [entry])
    if not found.sure:
        handed_on = passed_on(scans, entry)
        found = ActorTypes(handed_on.sure or found.sure, found.perhaps)
    bundle = _finish(entry, entry, closure.parts, scans, found, path.parent)
    return BundleSummary(bundle, closure.why)


def _build_folder(folder: Path) -> BundleSummary:
    is_package = (folder / "__init__.py").is_file()
    prefix = f"{folder.name}/" if is_package else ""
    if is_package and not folder.name.isidentifier():
        raise BundleRefused(f"the folder's name {folder.name!r} can't be a package's")
    contents = contents_of(folder)
    files = {f"{prefix}{name}": file for name, file in contents.files.items()}
    left = {f"{prefix}{name}": why for name, why in contents.left.items()}
    files = _without_src(folder, files)
    data = {name: file.read_bytes() for name, file in files.items()}
    scans, broken = _scans(files, data)
    offered = [module for module in scans if not _is_of_tests(_file_of(module, scans, files))]
    found = actor_classes(scans, offered)
    if not found.sure and not found.perhaps:
        offered = list(scans)
        found = actor_classes(scans)
    roots = list(found.sure or found.perhaps)
    if prefix:
        roots.append(folder.name)
    needed = reached(scans, roots)
    for module, error in broken.items():
        if module in needed or not found.sure:
            raise error
    why = dict.fromkeys(data, "in the folder")
    for name in list(data):
        module = module_of(name)
        if module in needed and module in scans:
            why[name] = "the actors need it"
        elif _is_below_tests(name, prefix) and not _tests_are_needed(name, prefix, needed):
            del data[name], why[name]
            scans.pop(module, None)
            left[name] = "only tests need it"
    entry = folder.name if is_package else ""
    parts = {SOURCE + name: text for name, text in data.items()}
    bundle = _finish(folder.name, entry, parts, scans, found, folder)
    return BundleSummary(bundle, {SOURCE + name: text for name, text in why.items()}, left)


def _without_src(folder: Path, files: dict[str, Path]) -> dict[str, Path]:
    """A project with a `src` folder is imported from there: `src/pkg/x.py` is `pkg.x`."""
    is_layout = (folder / "pyproject.toml").exists() or (folder / "setup.py").exists()
    moved = {name.removeprefix("src/"): file for name, file in files.items()}
    if not is_layout or "src/__init__.py" in files or len(moved) < len(files):
        return files
    return moved


def _scans(
    files: Mapping[str, Path], data: Mapping[str, bytes]
) -> tuple[dict[str, Scan], dict[str, BundleRefused]]:
    """The modules among files, and those that can't be parsed with the reason."""
    scans: dict[str, Scan] = {}
    broken: dict[str, BundleRefused] = {}
    for name, file in files.items():
        module = module_of(name)
        if not module or not name.endswith(".py"):
            continue
        try:
            scans[module] = scan(
                module,
                data[name],
                is_package=name.endswith("__init__.py"),
                shown=os.fspath(file),
            )
        except BundleRefused as error:
            broken[module] = error
    return scans, broken


def _file_of(module: str, scans: Mapping[str, Scan], files: Mapping[str, Path]) -> str:
    stem = module.replace(".", "/")
    return f"{stem}/__init__.py" if f"{stem}/__init__.py" in files else f"{stem}.py"


def _is_of_tests(name: str) -> bool:
    """Whether a module is a project's tests or tools, whose classes aren't what is deployed."""
    *folders, base = name.split("/")
    return (
        bool(_TESTS & set(folders))
        or base in _TOOLS
        or base.startswith("test_")
        or base.endswith("_test.py")
    )


def _is_below_tests(name: str, prefix: str) -> bool:
    return name.removeprefix(prefix).partition("/")[0] in _TESTS and "/" in name


def _tests_are_needed(name: str, prefix: str, needed: Mapping[str, bool]) -> bool:
    top = prefix.replace("/", ".") + name.removeprefix(prefix).partition("/")[0]
    return any(module == top or module.startswith(f"{top}.") for module in needed)


def _finish(
    name: str,
    entry: str,
    parts: Mapping[str, bytes],
    scans: Mapping[str, Scan],
    found: ActorTypes,
    folder: Path,
) -> Bundle:
    types = _types(found.sure)
    perhaps = _types(found.perhaps)
    if not types and not perhaps:
        raise BundleRefused(f"no class in {name!r} derives from Actor{_unnamed(parts)}")
    roots = sorted({*found.sure, *found.perhaps})
    always = [entry] if entry else []
    local = tops_of(parts)
    wanted = wanted_by(scans, local, [*roots, *always])
    requirements = requirements_of(wanted[True])
    manifest = Manifest(
        name=name,
        version=scans[entry].version if entry in scans else "",
        python=sys.version_info[:2],
        requirements=requirements,
        needs=needs_of(scans, local, roots, always, requirements),
        types=types,
        parts={},
        entry=entry,
        created_by=created_by(),
        perhaps=perhaps,
        optional={
            module: version
            for module, version in requirements_of(wanted[False]).items()
            if module not in requirements
        },
        modules=identities_of(parts, scans),
        platform=platform_of(parts),
        wants=wanted_versions(folder, parts, entry),
    )
    return encode(manifest, parts)


def _unnamed(parts: Iterable[str]) -> str:
    """What to say of files that can't be modules."""
    names = [path.removeprefix(SOURCE) for path in parts if path.endswith(".py")]
    odd = [name for name in names if not module_of(name)]
    if not odd:
        return ""
    return f"; {odd[0]} can't be imported by that name: rename it, or declare the file itself"


def _types(chosen: Classes) -> dict[str, str]:
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
