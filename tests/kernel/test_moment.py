"""A moment says its zone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from zactor.kernel.moment import moment


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC0", "1970-01-01 00:00:00.500+00:00"),
        ("IST-5:30", "1970-01-01 05:30:00.500+05:30"),
        ("NST3:30", "1969-12-31 20:30:00.500-03:30"),
    ],
    indirect=["zone"],
)
def test_a_moment_is_local_and_says_how_far_that_is_from_utc(zone: None, expected: str) -> None:
    assert moment(0.5) == expected
