"""make and .ci/run as a newcomer meets them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end

from zactor.kernel import limits as config

ROOT = Path(__file__).resolve().parents[2]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return run_to_end(["make", "--no-print-directory", "-C", ROOT, *words], env=env)


def fake_python(folder: Path, version: str) -> Path:
    """An interpreter that is only good for saying how old it is."""
    file = folder / f"python{version}"
    major, _, minor = version.partition(".")
    check = f"import sys; sys.version_info = ({major}, {minor}); exec(sys.argv[1])"
    lines = ["#!/bin/sh", '[ "$1" = -c ] || exit 9', f"exec {sys.executable} -c '{check}' \"$2\""]
    file.write_text("\n".join(lines))
    file.chmod(0o755)
    return file


def test_an_old_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    old = fake_python(tmp_path, "3.10")
    done = make("test", f"PYTHON={old}", f"VENV={tmp_path / 'env'}")
    assert done.returncode != 0
    assert f"zactor needs Python 3.11 or newer, found none of: {old}" in done.stderr
    assert "make PYTHON=" in done.stderr
    assert not (tmp_path / "env").exists()


def test_the_first_python_that_is_new_enough_is_taken(tmp_path: Path) -> None:
    old, new = fake_python(tmp_path, "3.10"), fake_python(tmp_path, "3.12")
    done = make("stage", f"PYTHON={old} {new}", f"VENV={tmp_path / 'env'}")
    # The fake can't make an environment, so that is where it ends, with another message.
    assert f"'{new} -m venv' failed" in done.stderr
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize(
    "target", ["demo", "test", "test-all", "soak", "siege", "lint", "stage", "bench", "clean"]
)
def test_every_target_is_known_to_make_and_told_by_help(target: str, tmp_path: Path) -> None:
    assert make("-n", target, f"VENV={tmp_path / 'env'}").returncode == 0
    assert f"make {target}" in make("help").stdout


def test_the_ci_script_is_one_that_bash_can_read() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    done = run_to_end(["bash", "-n", script])
    assert (done.returncode, done.stderr) == (0, "")


def module_names(text: str) -> Iterator[str]:
    """The names that a module assigns at its top, in order, each as often as it is assigned."""
    for node in ast.parse(text).body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        for target in targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            yield from (name.id for name in names if isinstance(name, ast.Name))


def python_files() -> list[Path]:
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "*.py"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=False, timeout=DEADLINE_S)
    if done.returncode:
        pytest.skip("this is no git checkout")
    names = sorted(name for name in done.stdout.decode().split("\0") if name)
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def assigned_twice(text: str) -> list[str]:
    names = list(module_names(text))
    return sorted({name for name in names if names.count(name) > 1})


def test_a_module_gives_each_of_its_names_one_value() -> None:
    found = [
        f"{file.relative_to(ROOT).as_posix()}: {name}"
        for file in python_files()
        for name in assigned_twice(file.read_text())
    ]
    assert not found, "\n".join(found)


def test_a_name_with_two_values_would_be_found() -> None:
    assert assigned_twice("A = 1\nB: int = 2\n(C, A) = 3, 4\nB: int\n") == ["A"]


def test_a_limit_of_config_has_no_namesake_elsewhere() -> None:
    home = Path(config.__file__).resolve()
    limits = {name for name in module_names(home.read_text()) if name.isupper()}
    assert "MAILBOX_MESSAGES_MAX" in limits
    found = [
        f"{file.relative_to(ROOT).as_posix()}: {name}"
        for file in python_files()
        if file != home
        for name in module_names(file.read_text())
        if name.lstrip("_") in limits
    ]
    assert not found, "a second value for a limit of config: " + ", ".join(found)
