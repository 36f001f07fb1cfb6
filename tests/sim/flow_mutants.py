"""Planted bugs of credit between sessions; each is caught by `flow` alone. See mutants.py."""

from __future__ import annotations

from typing import Any

import pytest
from mutants import Mutant

from zactor.kernel.groups import effects
from zactor.kernel.groups.credit import SessionCredit
from zactor.kernel.groups.multicast import ViewMulticast
from zactor.kernel.messages.views import View


def _all_groups_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionCredit, "is_full", lambda self, names, groups: bool(self._behind))


def _no_group_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SessionCredit, "is_full", lambda self, names, groups: False)


def _never_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SessionCredit.look

    def look(self: SessionCredit, is_frozen: bool) -> Any:
        found = real(self, is_frozen)
        return [one for one in found if not isinstance(one, effects.CreditGiven)]

    monkeypatch.setattr(SessionCredit, "look", look)


def _not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SessionCredit.enter_view

    def enter_view(self: SessionCredit, view: View) -> None:
        self._has_told = False
        real(self, view)

    monkeypatch.setattr(SessionCredit, "enter_view", enter_view)


def _readers_acknowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewMulticast._begin_view

    def begin_view(self: ViewMulticast, view: View, now_ms: int) -> None:
        real(self, view, now_ms)
        prefixes = self._order.prefixes
        told = [prefixes()]

        def withheld() -> tuple[int, ...]:
            if not self._credit.backlogs.behind:
                told[0] = prefixes()
            return told[0]

        self._order.prefixes = withheld  # type: ignore[method-assign]  # a bug, planted

    monkeypatch.setattr(ViewMulticast, "_begin_view", begin_view)


FLOW_MUTANTS: dict[str, Mutant] = {
    "all_groups_full": Mutant(
        words="while somebody is behind, all groups are full",
        caught_by=("flow",),
        patch=_all_groups_full,
        seeds=range(24),
    ),
    "no_group_full": Mutant(
        words="nobody is held",
        caught_by=("flow",),
        patch=_no_group_full,
        seeds=range(24),
    ),
    "never_let_go": Mutant(
        words="who was held once is held for ever",
        caught_by=("flow",),
        patch=_never_let_go,
        seeds=range(24),
    ),
    "not_told_again": Mutant(
        words="who comes into the view isn't told who is behind",
        caught_by=("flow",),
        patch=_not_told_again,
        seeds=range(24, 48),
    ),
    "readers_acknowledge": Mutant(
        words="a node with a session that is behind acknowledges no streams",
        caught_by=("flow",),
        patch=_readers_acknowledge,
        seeds=range(24),
    ),
}
"""Caught as MUTANTS are."""
