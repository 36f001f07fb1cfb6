"""Which modules of two bundles are one: a module is its own content and that of what it imports.

So two actors that ship the same `messages.py` share its classes, and so do an actor's old and new
version where `messages.py` didn't change. A module that reads files beside it is those files too,
and one that imports by names which its source doesn't say is all of its bundle: what it would do
can't be told from its source alone.

The graph's circles are one by one their members' content (Tarjan, SIAM J. Comput. 1(2), 1972).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping

from zactor.bundles.closure import module_of
from zactor.bundles.manifest import SOURCE
from zactor.bundles.scan import Scan

DIGITS = 16  # hexadecimal: 64 bits
_NO_IMPORTERS = sys.stdlib_module_names | {"zactor"}  # but for those that bundles/scan.py knows


def identities_of(parts: Mapping[str, bytes], scans: Mapping[str, Scan]) -> dict[str, str]:
    """Return {module: DIGITS hexadecimal digits} for every module among `parts`.

    Args:
        parts: of a bundle, by path.
        scans: of those modules that could be parsed.
    """
    files = {path.removeprefix(SOURCE): data for path, data in parts.items()}
    digests = {path: hashlib.sha256(data).digest() for path, data in files.items()}
    modules = {module: path for path in sorted(files) if (module := module_of(path))}
    needs = {
        module: sorted(set(_needed(scans[module], modules))) if module in scans else []
        for module in modules
    }
    own = {
        module: _own(module, path, scans.get(module), digests, modules)
        for module, path in modules.items()
    }
    found: dict[str, bytes] = {}
    for circle in _circles(needs):
        members = set(circle)
        beyond = {found[other] for module in circle for other in needs[module] if other in found}
        content = _digest([*sorted(own[module] for module in circle), b"|", *sorted(beyond)])
        for module in sorted(members):
            found[module] = _digest([module.encode(), content])
    return {module: found[module].hex()[:DIGITS] for module in sorted(found)}


def _own(
    module: str,
    path: str,
    one: Scan | None,
    digests: Mapping[str, bytes],
    modules: Mapping[str, str],
) -> bytes:
    """The digest of a module's file, and of the files that it may read."""
    pieces = [module.encode(), path.encode(), digests[path]]
    if one is None or one.by_name:
        pieces += _of_files(digests, digests)
    elif path.endswith("/__init__.py"):
        # Its submodules are its attributes: two versions of one can't be in one package.
        within = path.removesuffix("__init__.py")
        pieces += _of_files([name for name in digests if name.startswith(within)], digests)
    if one is not None and one.reads and not one.by_name:
        top = f"{path.partition('/')[0]}/" if "/" in path else ""
        looks_up = any(text in ("..", "../") or text.startswith("../") for text in one.texts)
        near = "" if looks_up else top
        named = {text.rpartition("/")[2] for text in one.texts if text.endswith(".py")}
        taken = {name for name in modules.values() if name.rpartition("/")[2] not in named}
        data = [name for name in digests if name.startswith(near) and name not in taken]
        pieces += _of_files(data, digests)
    return _digest(pieces)


def _of_files(names: Iterable[str], digests: Mapping[str, bytes]) -> Iterator[bytes]:
    for name in sorted(names):
        yield name.encode()
        yield digests[name]


def _needed(one: Scan, modules: Mapping[str, str]) -> Iterator[str]:
    """The modules of the bundle that `one` takes something out of."""
    yield from _handed(one, modules)
    for item in one.imports:
        if not item.runs:
            continue
        named = f"{item.module}.{item.name}" if item.name else item.module
        if item.name and named.lstrip(".") in modules:
            yield named.lstrip(".")
        elif item.module in modules:
            yield item.module
        if not item.name:  # `import a.b` gives a, through which all that it imports is reached
            steps = item.module.split(".")
            yield from (
                name
                for count in range(1, len(steps))
                if (name := ".".join(steps[:count])) in modules
            )


def _handed(one: Scan, modules: Mapping[str, str]) -> Iterator[str]:
    """The modules whose names go to a function of elsewhere, which may import them."""
    elsewhere = {
        item.alias
        for item in one.imports
        if item.module not in modules and item.module.partition(".")[0] not in _NO_IMPORTERS
    }
    for called, name in one.handed:
        steps = name.split(".")
        if called in elsewhere:
            for count in range(len(steps), 0, -1):
                if (inner := ".".join(steps[:count])) in modules:
                    yield inner


def _circles(needs: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """The strongly connected parts of a graph, each after all that it needs."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in needs:
        if root in order:
            continue
        work: list[tuple[str, Iterator[str]]] = [(root, iter(needs[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in order:
                    order[other] = low[other] = len(order)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(needs[other])))
                    break
                if other in on_stack:
                    low[node] = min(low[node], order[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    circle: list[str] = []
                    while not circle or circle[-1] != node:
                        circle.append(stack.pop())
                        on_stack.discard(circle[-1])
                    yield circle


def _digest(pieces: Iterable[bytes]) -> bytes:
    hashed = hashlib.sha256()
    for piece in pieces:
        hashed.update(len(piece).to_bytes(4, "big"))
        hashed.update(piece)
    return hashed.digest()
