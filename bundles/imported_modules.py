"""What a module's identity depends on, found without reading the package that it is in.

A program that sends an instance needs its class's identity only, and its package may be large.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from zactor.bundles.identities import identities_of
from zactor.bundles.manifest import SOURCE
from zactor.bundles.scan import Import, Scan, scan


def identity_alone(root: Path, module: str, file: Path) -> str | None:
    """Return the identity of a module by what it imports; None: that doesn't settle it.

    It doesn't where a package, or what lies beside a module, is part of it.

    Raises:
        BundleRefused: something can't be parsed. OSError: something can't be read.
    """
    parts: dict[str, bytes] = {}
    scans: dict[str, Scan] = {}
    waiting = [(module, file)]
    while waiting:
        name, path = waiting.pop()
        if name in scans:
            continue
        if path.name == "__init__.py":
            return None
        source = parts[f"{SOURCE}{name.replace('.', '/')}.py"] = path.read_bytes()
        scans[name] = one = scan(name, source, is_package=False, shown=os.fspath(path))
        if one.reads or one.by_name or any(_file_of(root, text) for _, text in one.handed):
            return None
        for item in one.imports:
            waiting.extend(_needed(root, item))
    return identities_of(parts, scans)[module]


def _needed(root: Path, item: Import) -> Iterator[tuple[str, Path]]:
    """The modules that an import takes something out of, as bundles/identities.py sees it."""
    if not item.runs:
        return
    whole = f"{item.module}.{item.name}".strip(".")
    file = _file_of(root, whole)
    if item.name and file is not None:
        yield whole, file
        return
    steps = item.module.split(".")
    for count in range(1 if not item.name else len(steps), len(steps) + 1):
        name = ".".join(steps[:count])
        found = _file_of(root, name)
        if found is not None:
            yield name, found


def _file_of(root: Path, module: str) -> Path | None:
    """The file of a module below `root`, None if it isn't there."""
    steps = module.split(".")
    if not all(step.isidentifier() for step in steps):
        return None
    path = root.joinpath(*steps)
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return None
