"""Steps of drains and of groups with a planted fault, which their checks must find."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from steps_mutants import DRAINS, GROUPS, check_drains, check_groups

from zactor.kernel.errors import ZactorError

FOUND = (AssertionError, ZactorError)


@pytest.mark.parametrize("mutant", DRAINS)
def test_a_fault_of_drains_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(FOUND):
        check_drains()


@pytest.mark.parametrize("mutant", GROUPS)
def test_a_fault_of_groups_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(FOUND):
        check_groups()
