"""Which classes of scanned modules are actors: surely, or perhaps, for all that can be read.

A class whose base comes out of a package that isn't read here may be an actor. It is never taken
in place of another: only who names it gets it, and loading it settles the question.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from zactor.bundles.scan import BUILTINS, Scan

Classes = Mapping[str, list[str]]
"""Module -> names of classes."""


class _Kind(IntEnum):
    """What a class is; the greatest of its bases' counts."""

    OTHER = 0
    PERHAPS = 1
    ACTOR = 2


@dataclass(frozen=True, slots=True)
class ActorTypes:
    """What the types of a bundle may be."""

    sure: dict[str, list[str]] = field(default_factory=dict)
    perhaps: dict[str, list[str]] = field(default_factory=dict)


def actor_classes(scans: Mapping[str, Scan], modules: Iterable[str] | None = None) -> ActorTypes:
    """Return what derives from Actor, through any module in `scans`.

    A base from elsewhere counts when its name ends in `Actor`.

    Args:
        modules: whose classes are asked for; None: all.
    """
    finder = _Finder(scans)
    found = ActorTypes()
    for module in scans if modules is None else modules:
        for name in scans[module].classes:
            kind = finder.kind(module, name)
            if kind is _Kind.ACTOR:
                found.sure.setdefault(module, []).append(name)
            elif kind is _Kind.PERHAPS:
                found.perhaps.setdefault(module, []).append(name)
    return found


def passed_on(scans: Mapping[str, Scan], module: str) -> ActorTypes:
    """Return the actor classes that `module` doesn't define and only imports from `scans`."""
    finder = _Finder(scans)
    found = ActorTypes()
    for home, name in finder.imported_classes(module):
        if finder.kind(home, name) is _Kind.ACTOR and name not in found.sure.get(home, ()):
            found.sure.setdefault(home, []).append(name)
    return found


class _Finder:
    def __init__(self, scans: Mapping[str, Scan]) -> None:
        self._scans = scans
        self._known: dict[tuple[str, str], _Kind] = {}

    def kind(self, module: str, name: str) -> _Kind:
        """What `name`, as `module` understands it, is."""
        key = (module, name)
        if key not in self._known:
            self._known[key] = _Kind.OTHER  # what derives from itself in a circle is none
            self._known[key] = self._look(module, name)
        return self._known[key]

    def imported_classes(
        self, module: str, seen: frozenset[str] = frozenset()
    ) -> list[tuple[str, str]]:
        """(module, class) of what `module` has by import, from modules that were scanned."""
        found: list[tuple[str, str]] = []
        if module in seen:
            return found
        for item in self._scans[module].imports:
            if item.module not in self._scans:
                continue
            home = self._scans[item.module]
            names = list(home.classes) if item.name == "*" else [item.name]
            found += [(item.module, name) for name in names if name in home.classes]
            through = self.imported_classes(item.module, seen | {module})
            found += [pair for pair in through if item.name in ("*", pair[1])]
        return found

    def _look(self, module: str, name: str) -> _Kind:
        one = self._scans[module]
        head, _, rest = name.partition(".")
        found: list[_Kind] = []
        if not rest and head in one.classes:
            return max((self.kind(module, base) for base in one.classes[head]), default=_Kind.OTHER)
        if head in one.aliases and one.aliases[head] != head:
            found.append(self.kind(module, f"{one.aliases[head]}.{rest}".rstrip(".")))
        for item in one.imports:
            if item.alias != head:
                continue
            full = f"{item.module}.{item.name}" if item.name else item.module
            home, _, last = f"{full}.{rest}".rstrip(".").rpartition(".")
            found.append(self._of(module, home, last))
        if not found and head not in BUILTINS:
            stars = [item.module for item in one.imports if item.name == "*"]
            found = [self._of(module, home, name) for home in stars]
            if not stars and head == "?":
                found = [_Kind.PERHAPS]  # a base that is computed
        return max(found, default=_Kind.OTHER)

    def _of(self, module: str, home: str, last: str) -> _Kind:
        """What `last` is, that `module` takes out of `home`."""
        if home in self._scans:
            return self.kind(home, last) if home != module else _Kind.OTHER
        if last.rpartition(".")[2].endswith("Actor"):
            return _Kind.ACTOR
        top = home.partition(".")[0]
        return _Kind.OTHER if top in sys.stdlib_module_names or top == "zactor" else _Kind.PERHAPS
