"""Sources to bundle, and a folder to write them into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zactor.bundles import code_modules, load
from zactor.bundles.build import build_bundle
from zactor.bundles.manifest import Bundle

COUNTER = """
from zactor.kernel.actors.actor import Actor

class Counter(Actor):
    def step(self):
        return 1
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write {path: text} below a fresh folder and return the folder."""

    def write_files(files: dict[str, str], folder: str = "sources") -> Path:
        for name, text in files.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / folder

    return write_files


@pytest.fixture
def counter(write: Write) -> Bundle:
    """The bundle of one small actor."""
    return build_bundle(write({"counter.py": COUNTER}) / "counter.py")


@pytest.fixture(autouse=True)
def no_bundle_stays_loaded() -> Iterator[None]:
    """What a test loaded is forgotten after it."""
    yield
    for package in code_modules.packages():
        load.forget(package.bundle.identity)
    load.remove_private()
