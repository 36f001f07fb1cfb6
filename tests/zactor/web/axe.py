"""axe-core, which looks for what keeps people from using a page: from npm, for tests only.

It isn't in the repository: `npm pack` fetches it into build/ once. `.ci/run` does so too.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from playwright.sync_api import Page

VERSION = "4.10.3"
FILE = Path(__file__).resolve().parents[3] / "build" / f"axe-{VERSION}.js"
FETCH_S = 120.0


def source() -> str:
    """Return its text; where it can't be had the test is skipped, and says why."""
    if not FILE.exists():
        _fetch()
    return FILE.read_text()


def _fetch() -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("axe-core comes by npm, and there is no npm here")
    with tempfile.TemporaryDirectory() as folder:
        words = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
        done = subprocess.run(
            words, check=False, cwd=folder, capture_output=True, text=True, timeout=FETCH_S
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["nothing"]
            pytest.skip(f"npm can't fetch axe-core here: {said[0]}")
        FILE.parent.mkdir(exist_ok=True)
        with tarfile.open(Path(folder) / done.stdout.strip()) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            draft = FILE.with_suffix(".new")
            draft.write_bytes(member.read())
            draft.replace(FILE)


def findings(page: Page) -> list[str]:
    """Return what is wrong with what a page shows now, a line for each element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(source())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}: {rule['help']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
