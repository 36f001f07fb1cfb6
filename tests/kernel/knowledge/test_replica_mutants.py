"""Each rule of the replica is needed: without it the checkers of kb_world find a fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kb_world import Simulation

from zactor.kernel import config
from zactor.kernel.knowledge import history, leader, replica
from zactor.kernel.knowledge.replica import Replica
from zactor.kernel.protocol.messages import Change, KbMessage, KbOutcome

SEEDS = 1_000  # within so many a checker must find every mutant


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots and pieces in every run."""
    monkeypatch.setattr(config, "HISTORY_KEPT", 6)
    monkeypatch.setattr(config, "KB_PIECE_BYTES", 300)


def _decides_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leader.Leadership, "_settle", _settle_at_once)


def _settle_at_once(self: leader.Leadership) -> list[replica.Effect]:
    for peer in self._peers.values():
        peer.applied = self._copy.clock
    return _SETTLE(self)


_SETTLE = leader.Leadership._settle


def _forgets_what_took_place(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history.History, "took_place", lambda self, id_: None)


def _sends_snapshots_without_ids(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history.History, "ids", lambda self: ())


def _obeys_anybody(patch: pytest.MonkeyPatch) -> None:
    def take(self: Replica, sender: str, change: Change) -> list[replica.Effect]:
        self._obeyed, self._promised = sender, change.epoch
        return _TAKE_ORDER(self, sender, change)

    patch.setattr(Replica, "_take_order", take)


_TAKE_ORDER = Replica._take_order


def _trusts_its_own_copy(patch: pytest.MonkeyPatch) -> None:
    def lead(self: leader.Leadership, newest: str) -> list[replica.Effect]:
        return self._lead(0.0)

    patch.setattr(leader.Leadership, "_fetch", lead)


def _waits_for_one_answer_only(patch: pytest.MonkeyPatch) -> None:
    advance = leader.Leadership.advance

    def hasty(self: leader.Leadership, at: float) -> list[replica.Effect]:
        answered = {n: p for n, p in self._peers.items() if p.stands is not None}
        everybody, self._peers = self._peers, answered or self._peers
        effects = advance(self, at)
        self._peers = {**everybody, **self._peers}
        return effects

    patch.setattr(leader.Leadership, "advance", hasty)


def _does_not_submit_again(patch: pytest.MonkeyPatch) -> None:
    answer = Replica._answer_poll

    def silent(self: Replica, sender: str) -> list[replica.Effect]:
        mine, self._mine = self._mine, {}
        effects = answer(self, sender)
        self._mine = mine
        return effects

    patch.setattr(Replica, "_answer_poll", silent)


def _keeps_its_epoch(patch: pytest.MonkeyPatch) -> None:
    def stand(self: Replica, at: float) -> list[replica.Effect]:
        self._promised = self._seen = max(self._promised, self._seen) - 1
        return _STAND(self, at)

    patch.setattr(Replica, "_stand", stand)


_STAND = Replica._stand


def _takes_any_outcome(patch: pytest.MonkeyPatch) -> None:
    dispatch = Replica._dispatch

    def take(self: Replica, sender: str, message: KbMessage, at: float) -> list[replica.Effect]:
        obeyed = self._obeyed
        if isinstance(message, KbOutcome):
            self._obeyed = sender
        effects = dispatch(self, sender, message, at)
        if isinstance(message, KbOutcome):
            self._obeyed = obeyed
        return effects

    patch.setattr(Replica, "_dispatch", take)


def _asks_only_once(patch: pytest.MonkeyPatch) -> None:
    receive = Replica.receive

    def forget(self: Replica, sender: str, message: KbMessage, at: float) -> list[replica.Effect]:
        return receive(self, sender, message, at) if sender in self._members else []

    patch.setattr(leader.Leadership, "tick", lambda self, now_ms, at: [])
    patch.setattr(Replica, "receive", forget)


@pytest.mark.parametrize(
    "mutant",
    [
        _decides_alone,
        _forgets_what_took_place,
        _sends_snapshots_without_ids,
        _obeys_anybody,
        _trusts_its_own_copy,
        _waits_for_one_answer_only,
        _does_not_submit_again,
        _keeps_its_epoch,
        _takes_any_outcome,
        _asks_only_once,
    ],
)
def test_a_checker_finds_every_mutant(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    for seed in range(SEEDS):
        try:
            Simulation(seed).run()
        except Exception:
            return
    pytest.fail(f"{mutant.__name__} lived through {SEEDS} seeds")
