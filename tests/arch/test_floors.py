"""Folders are floors: imports run downhill only, never in a circle; and what decides is pure.

All of it is read from the code's own imports, those for types and those inside of functions too;
`pytest -v` shows how many floors and circles there are.
"""

from __future__ import annotations

import ast
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from deadlines import run_to_end

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("kernel", "supervisor", "bundles", "demos", "zactor")
FLOORS_MAX = 9

# Lowest first. A folder, or a file that stands for itself, may import from the lines above its own
# and nothing from its own line but itself.
FLOORS = (
    (
        "zactor.kernel.forks",
        "zactor.kernel.homes",
        "zactor.kernel.limits",
        "zactor.kernel.loops",
        "zactor.kernel.printable",
    ),
    ("zactor.kernel.errors",),
    ("zactor.kernel.ids",),
    ("zactor.kernel.messages",),
    (
        "zactor.kernel.actors",
        "zactor.kernel.groups",
        "zactor.kernel.knowledge",
        "zactor.kernel.link",
        "zactor.kernel.wire",
    ),
    ("zactor.kernel.replication", "zactor.kernel.sessions", "zactor.kernel.transport"),
    ("zactor.kernel.runtime",),
    ("zactor.kernel",),
    ("zactor.bundles", "zactor.testing"),
    (
        "zactor.supervisor.actors_queue",
        "zactor.supervisor.asker",
        "zactor.supervisor.blocking_work",
        "zactor.supervisor.item_owners",
        "zactor.supervisor.kb",
        "zactor.supervisor.life_tasks",
        "zactor.supervisor.observe",
        "zactor.supervisor.process_end",
    ),
    ("zactor.supervisor.desired", "zactor.supervisor.membership"),
    ("zactor.supervisor.door", "zactor.supervisor.operations", "zactor.supervisor.spread"),
    ("zactor.supervisor.deployment", "zactor.supervisor.settings"),
    ("zactor.supervisor.node", "zactor.supervisor.unconfigured_node"),
    ("zactor.supervisor.process_end",),
    ("zactor.supervisor.process",),
    ("zactor.supervisor",),
    ("zactor.client",),
    ("zactor.desired",),
    ("zactor.cluster", "zactor.commands", "zactor.mailbox", "zactor.spread"),
    ("zactor.lab",),
    ("zactor",),
    ("zactor.web",),
    ("zactor.cli", "zactor.siege"),
    ("zactor.demos", "zactor.__main__"),
)

# The rooms of the house as one enters it: folders of the top, and those of `zactor`.
HOUSE = (
    "zactor.kernel",
    "zactor.bundles",
    "zactor.testing",
    "zactor.supervisor",
    "zactor.client",
    "zactor.cluster",
    "zactor.commands",
    "zactor.desired",
    "zactor.lab",
    "zactor.mailbox",
    "zactor.spread",
    "zactor",
    "zactor.web",
    "zactor.cli",
    "zactor.siege",
    "zactor.demos",
    "zactor.__main__",
)
BELOW_KERNEL = tuple(
    prefix for floor in FLOORS for prefix in floor if prefix.startswith("zactor.kernel.")
)
BELOW_SUPERVISOR = tuple(
    prefix for floor in FLOORS for prefix in floor if prefix.startswith("zactor.supervisor.")
)

PURE = tuple(
    f"zactor.kernel.{name}" for name in ("messages", "link", "groups", "knowledge", "replication")
)
FORBIDDEN = {
    "asyncio",
    "logging",
    "os",
    "random",
    "select",
    "socket",
    "sqlite3",
    "structlog",
    "threading",
    "time",
    "uuid",
    "zmq",
}


def module_name(file: Path) -> str:
    steps = list(file.relative_to(ROOT).with_suffix("").parts)
    if steps[0] != "zactor":
        steps.insert(0, "zactor")
    if steps[-1] == "__init__":
        steps.pop()
    return ".".join(steps)


@functools.cache
def sources() -> dict[str, Path]:
    return {module_name(file): file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")}


def imports_of(module: str, text: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """(line, absolute module) of every import, also within functions and for types only."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            steps = package.split(".")[: len(package.split(".")) - node.level + 1]
            home = ".".join([*(steps if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                # `from zactor import bundles` imports zactor.bundles
                inner = f"{home}.{alias.name}"
                yield node.lineno, inner if inner in sources() else home


@functools.cache
def graph() -> dict[str, frozenset[str]]:
    """Of every module of ours: those of ours that it imports."""
    found = {}
    for module, file in sources().items():
        is_package = file.name == "__init__.py"
        wanted = {name for _, name in imports_of(module, file.read_text(), is_package=is_package)}
        found[module] = frozenset(wanted & sources().keys() - {module})
    return found


def prefix_of(module: str, prefixes: tuple[str, ...]) -> str | None:
    """The longest of the prefixes that `module` is in; what stands for itself holds only itself."""
    fits = [each for each in prefixes if module == each or module.startswith(f"{each}.")]
    return max(fits, key=len, default=None)


def floor_of(module: str) -> tuple[int, str] | None:
    """The number of a module's floor and its place on it; None for what isn't ours."""
    every = tuple(prefix for floor in FLOORS for prefix in floor)
    prefix = prefix_of(module, every)
    for number, floor in enumerate(FLOORS):
        if prefix in floor:
            return number, prefix
    return None


def uphill(module: str, text: str, *, is_package: bool = False) -> list[str]:
    own = floor_of(module)
    assert own is not None
    found = []
    for line, wanted in imports_of(module, text, is_package=is_package):
        its = floor_of(wanted)
        if its is not None and its != own and its[0] >= own[0]:
            found.append(f"{module}:{line} imports {wanted}")
    return found


def impurities(module: str, text: str) -> list[str]:
    return [
        f"{module}:{line} imports {wanted}"
        for line, wanted in imports_of(module, text)
        if prefix_of(module, PURE) and wanted.partition(".")[0] in FORBIDDEN
    ]


def circles(arrows: Mapping[str, frozenset[str]]) -> list[list[str]]:
    """Sets of nodes that reach each other, largest first (Tarjan, Depth-first search, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(arrows.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            cut = stack.index(node)
            if len(stack) - cut > 1:
                found.append(sorted(stack[cut:]))
            del stack[cut:]

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return sorted(found, key=len, reverse=True)


def storeys(rooms: tuple[str, ...]) -> list[list[str]]:
    """Rooms by floor, lowest first: each stands on the highest that it imports from."""
    below: dict[str, set[str]] = {room: set() for room in rooms}
    for module, wanted in graph().items():
        own = prefix_of(module, rooms)
        if own is not None:
            below[own] |= {room for name in wanted if (room := prefix_of(name, rooms))} - {own}
    height: dict[str, int] = {}

    def measure(room: str, way: tuple[str, ...] = ()) -> int:
        if room in way:  # a circle, which other tests tell of
            return 0
        if room not in height:
            height[room] = 1 + max(
                (measure(other, (*way, room)) for other in below[room]), default=0
            )
        return height[room]

    for room in rooms:
        measure(room)
    return [
        sorted(room for room in rooms if height[room] == number)
        for number in range(1, max(height.values()) + 1)
    ]


# Their numbers are parts of the tests' names, for who wants to see them.
CIRCLES = circles(graph())
STOREYS = {
    name: storeys(rooms)
    for name, rooms in {
        "the house": HOUSE,
        "kernel": BELOW_KERNEL,
        "supervisor": BELOW_SUPERVISOR,
    }.items()
}


def test_no_import_runs_uphill() -> None:
    found = []
    for module, file in sources().items():
        found += uphill(module, file.read_text(), is_package=file.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("found", [CIRCLES], ids=[f"{len(CIRCLES)} circles"])
def test_no_files_import_each_other_by_any_way(found: list[list[str]]) -> None:
    assert not found, "\n".join(" -> ".join(circle) for circle in found)


@pytest.mark.parametrize(
    "found", STOREYS.values(), ids=[f"{name} has {len(each)}" for name, each in STOREYS.items()]
)
def test_there_are_few_floors(found: list[list[str]]) -> None:
    assert len(found) <= FLOORS_MAX, found


def test_a_circle_would_be_found() -> None:
    arrows = {
        "a": frozenset({"b"}),
        "b": frozenset({"c"}),
        "c": frozenset({"a", "d"}),
        "d": frozenset({"e"}),
        "e": frozenset({"d"}),
        "f": frozenset({"a"}),
    }
    assert circles(arrows) == [["a", "b", "c"], ["d", "e"]]
    assert not circles({"a": frozenset({"b", "c"}), "b": frozenset({"c"}), "c": frozenset()})


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("zactor.kernel.errors", "import zactor.kernel.link.link"),
        ("zactor.kernel.link.link", "from zactor.kernel.wire import codec"),
        ("zactor.kernel.link.link", "from ..wire import codec"),
        ("zactor.kernel.link.link", "from zactor.kernel.groups.engine import Engine"),
        ("zactor.kernel.actors.actor", "from zactor.kernel import Kernel"),
        ("zactor.kernel.runtime.cell", "def f():\n    import zactor.bundles.load"),
        ("zactor.kernel.sessions.host", "from zactor.kernel.transport.hub import Hub"),
        ("zactor.bundles.load", "from zactor import supervisor"),
        ("zactor.bundles.load", "from zactor import Actor"),
        (
            "zactor.supervisor.kb.facts",
            "if TYPE_CHECKING:\n    from zactor.supervisor.node import Node",
        ),
        ("zactor.supervisor.node", "import zactor"),
        ("zactor.client.connect", "from zactor.demos import counter"),
        ("zactor.client.connect", "from zactor.mailbox.mailbox import Mailbox"),
    ],
)
def test_an_import_uphill_would_be_found(module: str, text: str) -> None:
    assert uphill(module, text)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("zactor.kernel.link.link", "from zactor.kernel.errors import ZactorError"),
        ("zactor.kernel.link.link", "from zactor.kernel.link.outbox import Outbox"),
        ("zactor.kernel.replication.replica", "import zactor.kernel.messages.knowledge"),
        ("zactor.demos.counter", "from zactor import Actor"),
        ("zactor.client.connect", "from zactor.supervisor.membership import run_directory"),
        ("zactor.bundles.load", "import os, msgspec"),
    ],
)
def test_an_import_downhill_is_fine(module: str, text: str) -> None:
    assert not uphill(module, text)


def test_what_decides_is_pure() -> None:
    found = []
    for module, file in sources().items():
        found += impurities(module, file.read_text())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["import time", "from os import path", "import zmq.asyncio"])
def test_an_impure_import_would_be_found(text: str) -> None:
    assert impurities("zactor.kernel.link.link", text)
    assert not impurities("zactor.kernel.runtime.cell", text)


def test_bundles_know_nothing_of_sockets() -> None:
    found = [
        f"{module}:{line}"
        for module, file in sources().items()
        if module.startswith("zactor.bundles")
        for line, wanted in imports_of(module, file.read_text())
        if wanted.partition(".")[0] == "zmq" or wanted.startswith("zactor.kernel.transport")
    ]
    assert not found


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = run_to_end([sys.executable, "-c", code], cwd="/", env=os.environ, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    ["import zactor", "import zactor.kernel.messages.frames", "import zactor.bundles"],
)
def test_the_grammar_loads_no_zeromq(statement: str) -> None:
    assert not {"zmq", "structlog", "click", "asyncio"} & loaded_by(statement)
