"""The house's limits, and what has no place in the project."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from deadlines import run_to_end

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 600
FILE_LINES_ASKED = 400
FUNCTION_LINES_MAX = 60

# From FILE_LINES_ASKED on one asks whether a file is two ideas; here is why these are one.
ONE_IDEA: dict[str, str] = {
    "kernel/actors/actor.py": "one class: what authors derive from",
    "kernel/groups/engine.py": "one machine",
    "kernel/runtime/dispatcher.py": "one loop, and who has his turns in it",
    "kernel/link/link.py": "one machine",
    "kernel/runtime/actor_process.py": "one process, as its node has it",
    "kernel/runtime/baton.py": "one right, and the two who may have it",
    "kernel/messages/operations.py": "one grammar: what may be asked of a node",
    "kernel/runtime/remoting.py": "one side of a link: what it brings to actors, and what it owes",
    "supervisor/operations/changes.py": "one class: what changes the cluster, as it is asked",
    "kernel/runtime/cell.py": "one class: an actor with its mailbox",
    "kernel/runtime/runtime.py": "one face of its parts",
    "kernel/replication/view_state.py": "one view of one replica",
    "kernel/sessions/host.py": "one shell round one engine",
    "kernel/sessions/session_queue.py": "one queue with its sessions",
    "kernel/transport/hub.py": "one owner of all sockets",
    "supervisor/deployment/reconciler.py": "one node's actors, compared with what there should be",
    "supervisor/kb/knowledge_base.py": "one interface to replication",
    "supervisor/spread/client.py": "one connection, from its hello to its end",
    "supervisor/observe/events.py": "one list of what may happen",
    "supervisor/node.py": "one list of what a node is made of",
    "tests/kernel/link/test_link.py": "one test for each rule of the link",
    "tests/sim/kb_steered_mutants.py": "one table",
    "supervisor/deployment/moves.py": "one move, at both of its ends",
    "tests/supervisor/operations/operations_runs.py": "each operation, and what must hold then",
    "supervisor/operations/reports.py": "each thing that is reported, and how",
    "tests/supervisor/operations/operations_world.py": "one world",
    "tests/supervisor/operations/steady_runs.py": "one world's runs, and what must hold in all",
    "zactor/testing/kb_sim/cluster.py": "one cluster on virtual time",
    "zactor/testing/replica_sim/adversary.py": "one adversary",
    "zactor/testing/replica_sim/checkers.py": "one judge",
    "zactor/client/master.py": "one class, an operation each method",
    "zactor/commands/catalogue.py": "one table",
    "zactor/mailbox/mailbox.py": "one class and its blocking twin",
}
LONGER_FUNCTIONS: dict[str, str] = {}


def project_files() -> list[Path]:
    """What belongs to the project: tracked, or new and not ignored."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = run_to_end(words, cwd=ROOT)
    if done.returncode:
        pytest.skip("this is no git checkout")
    names = {name for name in done.stdout.split("\0") if name}
    return [ROOT / name for name in sorted(names) if (ROOT / name).is_file()]


def python_files() -> list[Path]:
    return [file for file in project_files() if file.suffix == ".py"]


def long_functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.name, lines


def lines_of_files() -> dict[str, int]:
    return {
        file.relative_to(ROOT).as_posix(): len(file.read_text().splitlines())
        for file in python_files()
    }


def test_no_file_is_too_long() -> None:
    found = [
        f"{name}: {lines}" for name, lines in lines_of_files().items() if lines > FILE_LINES_MAX
    ]
    assert not found, "\n".join(found)


def test_of_every_long_file_somebody_asked_whether_it_is_two() -> None:
    long = {name for name, lines in lines_of_files().items() if lines > FILE_LINES_ASKED}
    assert long == set(ONE_IDEA)


def test_no_function_is_too_long() -> None:
    found = []
    for file in python_files():
        for function, lines in long_functions(file.read_text()):
            name = f"{file.relative_to(ROOT).as_posix()}:{function}"
            if name not in LONGER_FUNCTIONS:
                found.append(f"{name}: {lines} lines")
    assert not found, "\n".join(found)


def test_a_long_function_would_be_found() -> None:
    text = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX
    assert list(long_functions(text)) == [("f", FUNCTION_LINES_MAX + 1)]
    assert not list(long_functions(text.removesuffix("    x = 1\n")))


def test_every_module_begins_with_what_it_owns() -> None:
    found = [
        file.relative_to(ROOT).as_posix()
        for file in python_files()
        if file.relative_to(ROOT).parts[0] != "tests"
        and not ast.get_docstring(ast.parse(file.read_text()))
    ]
    assert not found


def forbidden() -> list[re.Pattern[str]]:
    """What is true on one machine only: its folders and the package indexes it uses."""
    words = {os.fspath(ROOT), os.fspath(Path.home()), sys.prefix}
    words -= {"/", "/root", "/usr", "/usr/local"}  # these are everybody's
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        for url in os.environ.get(variable, "").split():
            words.add(urlsplit(url).hostname or url)
    # Put together here, or this file would be the first to be found.
    slash = "/"
    patterns = [re.escape(word) + r"\b" for word in sorted(words) if word]
    patterns += [
        rf"{slash}(home|Users){slash}\w",
        rf"{slash}work{slash}\w",
        rf"{slash}root{slash}\.?\w",
        r"(extra-)?index" + r"[-_]url\s*[=:]",
    ]
    return [re.compile(pattern) for pattern in patterns]


def offences(text: str) -> list[str]:
    return [
        f"line {number}: {match.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in forbidden()
        for match in pattern.finditer(line)
    ]


def test_no_path_of_a_machine_and_no_package_index_is_written_down() -> None:
    found = []
    for file in project_files():
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT).as_posix()} {where}" for where in offences(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "cd " + "/".join(["", "home", "someone", "zactor"]),
        "see " + "/".join(["", "work", "plan.txt"]),
        "--index" + "-url=https://mirror.example/simple",
        os.fspath(ROOT),
    ],
)
def test_a_path_of_a_machine_would_be_found(text: str) -> None:
    assert offences(text)
