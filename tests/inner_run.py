"""Runs a test file of its own under the watch and the limits of this folder, which it tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deadlines import run_to_end

HERE = Path(__file__).parent
WATCH = ("conftest.py", "family.py", "slowness.py", "time_limit.py")


def run_inner(
    text: str, folder: Path, *, under: Sequence[str] = (), **seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `text` as a test file in `folder`, with shorter times: `LIMIT_S=0.5`.

    `under` are words before the command.
    """
    for name in WATCH:
        source = (HERE / name).read_text()
        for line in source.splitlines():
            constant, _, value = line.partition(" = ")
            if constant in seconds:
                source = source.replace(line, f"{constant} = {seconds[constant]}  # not {value}")
        (folder / name).write_text(source)
    written = "".join((folder / name).read_text() for name in WATCH)
    assert all(f"\n{name} = {value}  # not " in written for name, value in seconds.items())
    (folder / "test_inner.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = limit(seconds)\n")
    options = ("-q", "-p", "no:cacheprovider", f"--basetemp={folder / 'base'}")
    return run_to_end(
        [*under, sys.executable, "-m", "pytest", *options],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "ZACTOR_HOME"},
    )
