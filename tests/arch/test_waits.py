"""Every wait of a test, and of what tests are made with, has a deadline."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("tests", "zactor/testing", "zactor/cli", "demos")

# Whoever waits for a person, with the reason.
ENDLESS: dict[str, str] = {}
WAITS = {"wait", "join", "communicate", "acquire"}
RUNS = {"run", "call", "check_call", "check_output"}
HELPER = "a block that fails waits for ever: use `running` of tests/deadlines.py"


def offences(text: str) -> Iterator[tuple[str, str]]:
    """(name of the function, what is wrong) for each wait that may last for ever."""
    tree = ast.parse(text)
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    # `told.wait()` of a class beside it: what counts is how that one waits.
    own = {function.name for function in functions}
    # What is awaited is cut off with its loop, by the limit of the test.
    awaited = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Await)}
    for node in ast.walk(tree):
        around = [f for f in functions if f.lineno <= node_line(node) <= (f.end_lineno or 0)]
        name = around[-1].name if around else "<module>"
        if isinstance(node, ast.With):
            for item in node.items:
                if called(item.context_expr).endswith("Popen"):
                    yield name, f"line {node.lineno}: with {called(item.context_expr)}: {HELPER}"
        elif isinstance(node, ast.Call) and id(node) not in awaited and is_endless(node, own):
            yield name, f"line {node.lineno}: {ast.unparse(node)} has no deadline"


def node_line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def called(node: ast.expr) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def is_endless(node: ast.Call, own: set[str]) -> bool:
    """Whether this call may wait for ever: Popen, threads, events, locks, queues, subprocess."""
    owner, _, name = called(node).rpartition(".")
    if any((keyword.arg or "timeout").startswith("timeout") for keyword in node.keywords):
        return False
    if owner == "subprocess":
        return name in RUNS
    if name == "communicate":
        return name not in own
    if node.args or not owner:
        return False
    return (name in WAITS - own) or (name == "get" and owner.endswith("queue"))


def test_every_wait_has_a_deadline() -> None:
    found = []
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            for function, words in offences(file.read_text()):
                if f"{path}:{function}" not in ENDLESS:
                    found.append(f"{path}:{function} {words}")
    assert not found, "\n".join(found)


def test_nothing_is_excused_that_has_its_deadline() -> None:
    for place in ENDLESS:
        path, _, function = place.partition(":")
        assert function in dict(offences((ROOT / path).read_text())), place


@pytest.mark.parametrize(
    "text",
    [
        "with subprocess.Popen(words) as child: child.wait(5)",
        "with open(x) as log, Popen(words, stdout=log) as child: pass",
        "child.wait()",
        "def test_it():\n    self.child.communicate()",
        "child.communicate(b'words')",
        "thread.join()",
        "entered.wait()",
        "permits.acquire()",
        "self._queue.get()",
        "done = subprocess.run(words, check=False)",
        "subprocess.check_output(words)",
    ],
)
def test_a_wait_for_ever_would_be_found(text: str) -> None:
    assert len(list(offences(text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "child.wait(5)",
        "child.communicate(timeout=5)",
        "', '.join(words)",
        "thread.join(timeout=1.0)",
        "async def f(): await event.wait()",
        "class Told:\n    def wait(self): assert self.news.acquire(timeout=5)\ntold.wait()",
        "row.get('name')",
        "subprocess.run(words, timeout=5, check=False)",
        "child = subprocess.Popen(words)",
    ],
)
def test_a_wait_with_a_deadline_is_fine(text: str) -> None:
    assert not list(offences(text))
