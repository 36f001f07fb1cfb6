"""Which files of a folder belong to a program: sensible defaults, and a `.zactorignore`.

A `.zactorignore` has one pattern a line, as other ignore files have them: `*.csv` anywhere,
`/data/raw` from the folder that it lies in, `big/` folders only, `!keep.csv` takes in again what
a line above or a default leaves, `#` begins a comment. The last pattern that fits decides.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing

IGNORE_FILE = ".zactorignore"

_DEFAULTS = (
    (".*", "hidden"),
    ("__pycache__/", "made by Python"),
    ("*.py[co]", "made by Python"),
    ("*.egg-info/", "made by a build"),
    ("node_modules/", "of another language"),
    ("*.log", "a log"),
    ("*.swp", "of an editor"),
    ("*~", "of an editor"),
)


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a folder, and what was left of it."""

    files: dict[str, Path] = field(default_factory=dict)  # by path with slashes
    left: dict[str, str] = field(default_factory=dict)  # path -> why


def contents_of(folder: Path, limit: int | None = None) -> Contents:
    """Return what in a folder belongs to a program.

    Args:
        folder: resolved.
        limit: of files; None: BUNDLE_FILES_MAX.

    Raises:
        BundleRefused: more files than that; something that is no file; a link to data that lies
            outside of the folder, which may be a secret.
    """
    most = limits.BUNDLE_FILES_MAX if limit is None else limit
    found = Contents()
    rules = [Rule.of(pattern, why) for pattern, why in _DEFAULTS]
    rules += own_rules(folder)
    for name, path in _walk(folder, "", rules, found.left, frozenset({folder.resolve()})):
        found.files[name] = path
        if len(found.files) > most:
            raise BundleRefused(
                f"{os.fspath(folder)!r} has more than BUNDLE_FILES_MAX={most} files: "
                f"name what to leave in {IGNORE_FILE}"
            )
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern."""

    pattern: str
    takes: bool  # it takes in what it fits
    folders: bool  # it fits folders only
    anchored: bool  # it fits from the top only
    why: str

    @classmethod
    def of(cls, line: str, why: str) -> Rule:
        """Read one line."""
        takes = line.startswith("!")
        pattern = line.removeprefix("!")
        bare = pattern.strip("/")
        anchored = "/" in pattern.rstrip("/")
        return cls(bare, takes, pattern.endswith("/"), anchored, why)

    def fits(self, path: str, *, is_folder: bool) -> bool:
        """Whether a path with slashes is meant."""
        if self.folders and not is_folder:
            return False
        if self.anchored:
            return fnmatch.fnmatchcase(path, self.pattern)
        return fnmatch.fnmatchcase(path.rpartition("/")[2], self.pattern)


def own_rules(folder: Path) -> list[Rule]:
    """Return what a folder's `.zactorignore` says."""
    file = folder / IGNORE_FILE
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise NoSuchThing(f"can't read {os.fspath(file)!r}: {error}") from None
    lines = (line.strip() for line in text.splitlines())
    return [Rule.of(line, f"{IGNORE_FILE}: {line}") for line in lines if line and line[0] != "#"]


def _deciding(rules: list[Rule], path: str, *, is_folder: bool) -> Rule | None:
    return next((rule for rule in reversed(rules) if rule.fits(path, is_folder=is_folder)), None)


def _walk(
    folder: Path, prefix: str, rules: list[Rule], left: dict[str, str], above: frozenset[Path]
) -> Iterator[tuple[str, Path]]:
    """Each file with its name; `above` are the real folders that we are in."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise NoSuchThing(f"can't read {os.fspath(folder)!r}: {error.strerror}") from None
    for base in names:
        path, name = folder / base, f"{prefix}{base}"
        is_folder = path.is_dir()
        rule = _deciding(rules, name, is_folder=is_folder)
        if base == IGNORE_FILE:
            continue
        if rule is not None and not rule.takes:
            left[f"{name}/" if is_folder else name] = rule.why
            continue
        asked_for = rule is not None
        if is_folder:
            if (path / "pyvenv.cfg").exists():
                left[f"{name}/"] = "a virtual environment"
                continue
            real = path.resolve()
            if real in above:
                left[f"{name}/"] = "a link to a folder that it is in"
                continue
            if path.is_symlink() and not asked_for:
                _check_folder_link(path, above)
            yield from _walk(path, f"{name}/", rules, left, above | {real})
            continue
        if path.is_symlink() and not asked_for:
            _check_file_link(path, above)
        if not path.is_file():  # a pipe would block the builder for ever
            raise BundleRefused(f"{os.fspath(path)!r} is no plain file")
        yield name, path


def _check_file_link(path: Path, above: frozenset[Path]) -> None:
    """Modules are followed wherever they lie, as Python does; data may be someone's secret."""
    real = path.resolve()
    if real.suffix != ".py" and not any(real.is_relative_to(folder) for folder in above):
        raise _out_of_the_folder(path)


def _check_folder_link(path: Path, above: frozenset[Path]) -> None:
    real = path.resolve()
    if not any(real.is_relative_to(folder) for folder in above) and not has_modules(real):
        raise _out_of_the_folder(path)


def _out_of_the_folder(path: Path) -> BundleRefused:
    return BundleRefused(
        f"{os.fspath(path)!r} is a link out of the folder: put a copy there, or `{path.name}` "
        f"(to leave it) or `!{path.name}` (to take it) into {IGNORE_FILE}"
    )


def has_modules(folder: Path) -> bool:
    """Whether Python may find modules in a folder, at any depth that is usual for one."""
    return any(any(folder.glob(f"{'*/' * depth}*.py")) for depth in range(4))
