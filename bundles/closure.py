"""A file, the modules beside it that it imports, what those import, and what files they name."""

from __future__ import annotations

import os
import re
import sys
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
        self._places: dict[str, tuple[Path, str]] = {}  # module -> its folder, its path

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
        self._places[module] = (file.parent, path)
        aliases = {
            item.alias
            for item in one.imports
            if item.module.partition(".")[0] not in sys.stdlib_module_names
        }
        for called, name in sorted(one.handed):
            if called in aliases:  # `library.load("plugin")` may import it
                self._follow(name, module)
        if one.by_name:
            for text in sorted(one.texts):
                name = text.partition(":")[0].rstrip(".")
                if name and all(step.isidentifier() for step in name.split(".")):
                    self._follow(name, module)

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

    def add_named_files(self) -> None:
        """Take in the files beside modules that look round, if a module of the closure names them.

        Who looks and who names need not be one: `helper.read("filter.json")`.
        """
        taken: set[str] = set()
        while todo := sorted(set(self._places) - taken):  # a folder may bring modules
            taken.update(todo)
            folders = {
                self._places[module][0]: f"{self._places[module][1].rpartition('/')[0]}/".lstrip(
                    "/"
                )
                for module in todo
                # All that is in a package is there already.
                if self.scans[module].reads and module.partition(".")[0] not in self._packages
            }
            for beside, prefix in sorted(folders.items()):
                there = set(os.listdir(beside))
                for namer in sorted(self.scans):
                    for text in sorted(self.scans[namer].texts):
                        if text.partition("/")[0] in there:
                            self._take_named(text, beside, prefix, namer)

    def _take_named(self, text: str, beside: Path, prefix: str, by: str) -> None:
        steps = text.split("/")
        if any(step in ("", ".", "..") or step.startswith(".") for step in steps) or any(
            not rule.takes and rule.fits(text, is_folder=False) for rule in self._rules
        ):
            return
        found, name, why = beside / text, f"{prefix}{text}", f"{by} names it"
        try:
            is_file, is_folder = found.is_file(), found.is_dir()
        except OSError:  # a name that is too long, say
            return
        if found.is_symlink() and not found.resolve().is_relative_to(beside.resolve()):
            return
        if is_file:
            self._take_file(name, found, why)
        elif is_folder and name not in self._packages:
            self._packages.add(name)
            for inner, file in contents_of(found.resolve()).files.items():
                self._take_file(f"{name}/{inner}", file, why)

    def _take_file(self, name: str, file: Path, why: str) -> None:
        module = module_of(name)
        if f"{SOURCE}{name}" in self.parts:
            return
        if module and name.endswith(".py"):
            self._add_part(module, file, why, name)
        else:
            self._keep(name, file, why)
