"""make and .ci/run as a newcomer meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


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


@pytest.mark.parametrize("target", ["demo", "test", "lint", "stage", "bench", "clean"])
def test_every_target_is_known_to_make_and_told_by_help(target: str, tmp_path: Path) -> None:
    assert make("-n", target, f"VENV={tmp_path / 'env'}").returncode == 0
    assert f"make {target}" in make("help").stdout


def test_the_ci_script_is_one_that_bash_can_read() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text()
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
