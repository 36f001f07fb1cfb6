"""What modules need of elsewhere: by imports that they can't be loaded without, and by others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from zactor.bundles.manifest import SOURCE
from zactor.bundles.scan import Scan


def tops_of(parts: Iterable[str]) -> set[str]:
    """Return the first steps of the names of all modules and folders among a bundle's parts."""
    names = (path.removeprefix(SOURCE) for path in parts)
    return {name.partition("/")[0].partition(".")[0] for name in names}


def reached(scans: Mapping[str, Scan], roots: Iterable[str]) -> dict[str, bool]:
    """Which modules the roots reach by imports; True: they can't be loaded without it.

    A module of the folder that couldn't be parsed is among them too.
    """
    found: dict[str, bool] = {}
    waiting = [(module, True) for module in roots]
    while waiting:
        module, required = waiting.pop()
        if found.get(module, False) or (module in found and not required):
            continue
        found[module] = required
        parent = module.rpartition(".")[0]
        if parent:
            waiting.append((parent, required))
        one = scans.get(module)
        for item in one.imports if one else ():
            for name in filter(None, (item.module, f"{item.module}.{item.name}".strip("."))):
                waiting.append((name, required and item.required))
    return found


def wanted_by(
    scans: Mapping[str, Scan], local: AbstractSet[str], roots: Iterable[str]
) -> dict[bool, set[str]]:
    """What is imported and isn't here; True: the roots can't be loaded without it."""
    there = reached(scans, roots)
    wanted: dict[bool, set[str]] = {True: set(), False: set()}
    for one in scans.values():
        for item in one.imports:
            if item.runs and item.module.partition(".")[0] not in local:
                wanted[there.get(one.module, False) and item.required].add(item.module)
    return wanted


def needs_of(
    scans: Mapping[str, Scan],
    local: AbstractSet[str],
    roots: Iterable[str],
    always: Iterable[str],
    requirements: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Of the modules of types that need less than all of them do: what each needs."""
    found = {}
    for root in roots:
        tops = {name.partition(".")[0] for name in wanted_by(scans, local, [root, *always])[True]}
        own = tuple(name for name in requirements if name in tops)
        if len(own) < len(requirements):
            found[root] = own
    return found
