"""A file, the modules beside it that it imports, what those import, and what files they name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zactor.bundles.contents import contents_of, has_modules, own_rules
from zactor.bundles.manifest import SOURCE
from zactor.bundles.requirements import is_installed
from zactor.bundles.scan import Scan, scan
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing

_COMPILED = (".so", ".pyd")


def module_name(stem: str) -> str:
    """Return the module that a program file is: `sensor.v2` can't be imported, `sensor_v2` can."""
    name = re.sub(r"\W", "_", stem)
    return f"_{name}" if name[:1].isdigit() else name


def module_of(name: str) -> str:
    """The module that a file is ("" for data): `pkg/__init__.py` is `pkg`.

    A compiled one is named by what stands before its first dot: `fast.cpython-312-….so`.
    """
    folders, _, base = name.rpartition("/")
    if base.endswith(_COMPILED):
        stem = base.partition(".")[0]
    elif base.endswith(".py"):
        stem = base.removesuffix(".py")
    else:
        return ""
    steps = [*filter(None, folders.split("/")), stem]
    if not all(step.isidentifier() for step in steps):
        return ""
    if steps[-1] == "__init__":
        steps.pop()
    return ".".join(steps)


class Closure:
    """Grows by `add`; `parts` is what a bundle of it holds."""

    def __init__(self, folder: Path) -> None:
        """`folder` is where the first module's imports are looked for."""
        self._folder = folder
        self._rules = own_rules(folder)
        self.parts: dict[str, bytes] = {}
        self.scans: dict[str, Scan] = {}
        self.why: dict[str, str] = {}  # path in the bundle -> why it is there
        self._packages: set[str] = set()

    def add(self, module: str, file: Path, why: str, name: str = "") -> None:
        """Take in a module, and then what it imports from the same folder.

        Args:
            name: of the file in the bundle; "" for that of the module, at the top.

        Raises:
            NoSuchThing: it can't be read. BundleRefused: it can't be parsed, or there are too many.
        """
        if module in self.scans:
            return
        is_package = file.name == "__init__.py"
        path = name or f"{module.replace('.', '/')}{'/__init__' if is_package else ''}.py"
        source = self._keep(path, file, why)
        self.scans[module] = one = scan(
            module, source, is_package=is_package, shown=os.fspath(file)
        )
        for item in one.imports:
            self._follow(item.module or item.name, module)
            if not item.module:
                continue
            # `from company import calc`, where company is a folder only
            self._follow(f"{item.module}.{item.name}".rstrip(".*"), module)
        if one.reads:
            self._take_named(one, file.parent, path)

    def _keep(self, path: str, file: Path, why: str) -> bytes:
        if len(self.parts) >= limits.BUNDLE_FILES_MAX:
            raise BundleRefused(
                f"{path!r} needs more than BUNDLE_FILES_MAX={limits.BUNDLE_FILES_MAX} files"
            )
        try:
            data = file.read_bytes()
        except OSError as error:
            raise NoSuchThing(f"can't read {os.fspath(file)!r}: {error.strerror}") from None
        self.parts.setdefault(f"{SOURCE}{path}", data)
        self.why.setdefault(f"{SOURCE}{path}", why)
        return data

    def _follow(self, module: str, by: str) -> None:
        top = module.partition(".")[0]
        if top in ("", "zactor"):
            return
        why = f"{by} imports it"
        file = self._folder / f"{top}.py"
        folder = self._folder / top
        if (folder / "__init__.py").is_file():
            self.add_package(top, folder, why)
        elif file.is_file():
            self.add(top, file, why)
        elif compiled := self._compiled(top):
            self._keep(compiled.name, compiled, why)
        elif folder.is_dir() and has_modules(folder) and not is_installed(top):
            self.add_package(top, folder, why)

    def _compiled(self, top: str) -> Path | None:
        found = sorted(
            file for file in self._folder.glob(f"{top}.*") if module_of(file.name) == top
        )
        return found[0] if found else None

    def add_package(self, top: str, folder: Path, why: str) -> None:
        """Take in a folder of modules with all that is in it."""
        if top in self._packages:
            return
        self._packages.add(top)
        for name, path in contents_of(folder).files.items():
            inner = module_of(f"{top}/{name}")
            if inner and name.endswith(".py"):
                self._add_part(inner, path, why, f"{top}/{name}")
            else:
                self._keep(f"{top}/{name}", path, why)

    def _add_part(self, module: str, path: Path, why: str, name: str) -> None:
        try:
            self.add(module, path, why, name)
        except BundleRefused as error:
            if path.name == "__init__.py" or module in self.scans:
                raise
            # A template, or of another Python: whoever imports it will hear of it.
            self.why[f"{SOURCE}{name}"] = f"{why}; it can't be parsed: {error}"

    def _take_named(self, one: Scan, beside: Path, path: str) -> None:
        """Take in the files and folders whose names stand in a module that reads what is near."""
        prefix = f"{path.rpartition('/')[0]}/".lstrip("/")
        for text in sorted(one.texts):
            steps = text.split("/")
            if "\0" in text or any(step in ("", ".", "..") for step in steps):
                continue
            if any(step.startswith(".") for step in steps) or any(
                not rule.takes and rule.fits(text, is_folder=False) for rule in self._rules
            ):
                continue
            found, why = beside / text, f"{one.module} names it"
            try:
                is_file, is_folder = found.is_file(), found.is_dir()
            except OSError:  # a name that is too long, say
                continue
            if found.is_symlink() and not found.resolve().is_relative_to(beside.resolve()):
                continue
            if is_file and found.suffix != ".py":
                self._keep(f"{prefix}{text}", found, why)
            elif is_folder and text not in self._packages:
                for name, file in contents_of(found).files.items():
                    if module_of(name) and one.by_name and module_of(f"{prefix}{text}/{name}"):
                        inner = module_of(f"{prefix}{text}/{name}")
                        self._add_part(inner, file, why, f"{prefix}{text}/{name}")
                    else:
                        self._keep(f"{prefix}{text}/{name}", file, why)
