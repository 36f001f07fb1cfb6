"""What decides about operations does nothing else: no loop, disk, clock or log in it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PURE = (
    "operations/workflow",
    "operations/workflows",
    "operations/destroy",
    "operations/todo_assignment",
    "kb/changed_facts",
    "kb/fact_patterns",
    "kb/facts",
    "kb/provenance",
)
ALLOWED = {"__future__", "collections", "dataclasses", "msgspec", "re", "sys", "typing", "zactor"}
SHELLS = tuple(
    f"zactor.{part}"
    for part in ("bundles", "kernel.runtime", "kernel.sessions", "kernel.transport")
)
OURS = {
    "zactor.supervisor.node",
    "zactor.supervisor.kb.knowledge_base",
    *(
        f"zactor.supervisor.operations.{part}"
        for part in ("crash_points", "todo_runner", "workflow_runner")
    ),
}


@pytest.mark.parametrize("name", PURE)
def test_a_part_that_decides_imports_nothing_that_does(name: str) -> None:
    tree = ast.parse((ROOT / "supervisor" / f"{name}.py").read_text())
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
    assert modules
    assert {module.partition(".")[0] for module in modules} <= ALLOWED
    assert not [module for module in modules if module.startswith(SHELLS)]
    assert not modules & OURS
