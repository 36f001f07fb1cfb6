"""The history: digests tell pasts apart, and what a peer lacks is found by its digest."""

from __future__ import annotations

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Entry, Transaction
from zactor.kernel.replication.log import NO_DIGEST, History, Kept, Log, next_digest


def made(count: int) -> list[Change]:
    log = Log(Kept(theory=Theory()))
    wanted = [Transaction(f"t{n}", "w", "y", (), (), (f"p({n})",)) for n in range(count)]
    log.extend([Entry(3, 1, one) for one in wanted])
    return [outcome.change for outcome in log.commit(count) if outcome.change is not None]


def grown(changes: list[Change]) -> History:
    history = History(Kept(theory=Theory()))
    for change in changes:
        history.append(change)
    return history


def test_any_difference_in_a_change_makes_another_digest() -> None:
    (change,) = made(1)
    others = [
        msgspec.structs.replace(change, **{field: value})
        for field, value in {
            "epoch": 4, "index": 2, "id": "u", "who": "x", "why": "z", "at": 2.0,
            "retracted": ("p(9)",), "asserted": ("p(0)", "p(9)"),
        }.items()
    ]  # fmt: skip
    digests = {next_digest(NO_DIGEST, one) for one in [change, *others]}
    assert len(digests) == len(others) + 1
    assert next_digest(b"other", change) not in digests


def test_a_change_has_the_same_digest_after_a_journey() -> None:
    (change,) = made(1)  # its `at` was given as an int
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change)
    assert next_digest(NO_DIGEST, again) == change.digest


def test_what_follows_a_digest_is_found_as_long_as_it_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "HISTORY_KEPT", 4)
    changes = made(6)
    history = grown(changes)
    assert history.clock == Clock(3, 6)
    assert history.changes() == tuple(changes[2:])
    assert history.after(changes[5].digest) == ()
    assert history.after(changes[3].digest) == tuple(changes[4:])
    assert history.after(changes[1].digest) == tuple(changes[2:])
    assert history.after(changes[0].digest) is None
    assert history.after(NO_DIGEST) is None
    assert history.after(b"never seen") is None


def test_who_has_nothing_gets_the_whole_log_of_a_young_history() -> None:
    changes = made(3)
    assert grown(changes).after(NO_DIGEST) == tuple(changes)
    saved = Kept(
        theory=Theory(),
        clock=Clock(3, 3),
        digest=changes[2].digest,
        changes=tuple(changes),
    )
    assert History(saved).after(NO_DIGEST) == tuple(changes)
    late = msgspec.structs.replace(saved, changes=tuple(changes[1:]))
    assert History(late).after(NO_DIGEST) is None
    assert History(late).after(changes[1].digest) == (changes[2],)


def test_a_log_that_does_not_lead_to_the_saved_digest_is_not_used() -> None:
    changes = made(3)
    saved = Kept(theory=Theory(), clock=Clock(4, 1), digest=b"else", changes=tuple(changes))
    assert History(saved).changes() == ()
    assert History(saved).after(changes[0].digest) is None


def test_the_last_transactions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TRANSACTION_IDS_KEPT", 2)
    history = grown(made(3))
    assert history.took_place("t0") is None
    assert history.took_place("t2") == Clock(3, 3)
    assert history.ids() == (("t1", 3, 2), ("t2", 3, 3))
