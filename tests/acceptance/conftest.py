"""A lab for each test; when the test fails, what its nodes printed is shown."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from zactor.lab.lab import Lab

SHOWN_CHARS = 6_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    lab = getattr(item, "funcargs", {}).get("lab")
    if call.when == "call" and report.failed and isinstance(lab, Lab):
        for name in sorted(path.stem for path in (lab.home / "log").glob("*.log")):
            report.sections.append((f"output of {name}", lab.output(name)[-SHOWN_CHARS:]))
    return report


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    try:
        yield made
    finally:
        made.close()
