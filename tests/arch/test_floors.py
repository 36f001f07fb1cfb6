"""Folders are floors: imports run downhill only, and the core that decides is pure (DESIGN D1)."""

from __future__ import annotations

import ast
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("kernel", "supervisor", "bundles", "demos", "zactor")

FLOORS = (  # lowest first; those of one line may import each other
    ("zactor.kernel.homes",),
    ("zactor.kernel.errors", "zactor.kernel.ids", "zactor.kernel.config"),
    ("zactor.kernel.protocol", "zactor.kernel.knowledge"),
    ("zactor.kernel.wire",),
    ("zactor.kernel.runtime", "zactor.kernel.transport"),
    ("zactor.kernel",),
    ("zactor.bundles",),
    ("zactor.supervisor",),
    ("zactor",),
    ("zactor.demos",),
)

PURE = ("zactor.kernel.protocol", "zactor.kernel.knowledge")
IMPURE = {"zactor.kernel.knowledge.store"}  # the SQLite file, the one that acts
FORBIDDEN = {
    "asyncio",
    "logging",
    "os",
    "random",
    "select",
    "socket",
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


def floor_of(module: str) -> int | None:
    """The number of the floor with the longest prefix, None for what isn't ours."""
    fits = [
        (len(prefix), number)
        for number, floor in enumerate(FLOORS)
        for prefix in floor
        if module == prefix or module.startswith(f"{prefix}.")
    ]
    return max(fits)[1] if fits else None


def uphill(module: str, text: str, *, is_package: bool = False) -> list[str]:
    own = floor_of(module)
    assert own is not None
    return [
        f"{module}:{line} imports {wanted}"
        for line, wanted in imports_of(module, text, is_package=is_package)
        if (floor_of(wanted) or 0) > own
    ]


def impurities(module: str, text: str) -> list[str]:
    is_pure = module not in IMPURE and any(
        module == prefix or module.startswith(f"{prefix}.") for prefix in PURE
    )
    return [
        f"{module}:{line} imports {wanted}"
        for line, wanted in imports_of(module, text)
        if is_pure and wanted.partition(".")[0] in FORBIDDEN
    ]


def test_no_import_runs_uphill() -> None:
    found = []
    for module, file in sources().items():
        found += uphill(module, file.read_text(), is_package=file.name == "__init__.py")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("zactor.kernel.errors", "import zactor.kernel.protocol.link"),
        ("zactor.kernel.homes", "import zactor.kernel.errors"),
        ("zactor.kernel.protocol.link", "from zactor.kernel.wire import codec"),
        ("zactor.kernel.protocol.link", "from ..wire import codec"),
        ("zactor.kernel.runtime.actor", "from zactor.kernel import Kernel"),
        ("zactor.kernel.runtime.actor", "def f():\n    import zactor.bundles.load"),
        ("zactor.bundles.load", "from zactor import supervisor"),
        ("zactor.bundles.load", "from zactor import Actor"),
        ("zactor.supervisor.node", "import zactor"),
        ("zactor.master", "from zactor.demos import counter"),
    ],
)
def test_an_import_uphill_would_be_found(module: str, text: str) -> None:
    assert uphill(module, text)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("zactor.kernel.protocol.link", "from zactor.kernel.errors import ZactorError"),
        ("zactor.kernel.knowledge.replica", "import zactor.kernel.protocol.messages"),
        ("zactor.demos.counter", "from zactor import Actor"),
        ("zactor.master", "from zactor.supervisor.rundir import read_entries"),
        ("zactor.bundles.load", "import os, msgspec"),
    ],
)
def test_an_import_downhill_is_fine(module: str, text: str) -> None:
    assert not uphill(module, text)


def test_the_core_that_decides_is_pure() -> None:
    found = []
    for module, file in sources().items():
        found += impurities(module, file.read_text())
    assert not found, "\n".join(found)


@pytest.mark.parametrize("text", ["import time", "from os import path", "import zmq.asyncio"])
def test_an_impure_import_would_be_found(text: str) -> None:
    assert impurities("zactor.kernel.protocol.link", text)
    assert not impurities("zactor.kernel.runtime.actor", text)


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
    ["import zactor", "import zactor.kernel.protocol.messages", "import zactor.bundles"],
)
def test_the_protocol_loads_no_zeromq(statement: str) -> None:
    assert not {"zmq", "structlog", "click", "asyncio"} & loaded_by(statement)
