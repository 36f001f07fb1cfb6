"""Packages of PyPI in actors: imported at top level, held, sent, returned (scripts/packages.py)."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from zactor import BlockingCluster, local

SCRIPT = Path(__file__).parents[2] / "scripts" / "packages.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packages_tried", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


packages = load()


@pytest.fixture(scope="module")
def cluster() -> Iterator[BlockingCluster]:
    with local(nodes=2) as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize("name", packages.CI)
def test_a_package_works_in_actors(cluster: BlockingCluster, tmp_path: Path, name: str) -> None:
    if not packages.installed([name]) and not os.environ.get("CI"):
        pytest.skip(f"{name} isn't installed: pip install -e '.[packages]'")
    said = dict(packages.try_package(cluster.master, tmp_path, name))
    assert said == dict.fromkeys(packages.STEPS, "")
