"""Writes as a replica makes them, for the store's tests and for the process that they kill."""

from __future__ import annotations

from collections.abc import Iterator

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Entry, Transaction
from zactor.kernel.replication import records
from zactor.kernel.replication.effects import Write
from zactor.kernel.replication.log import Kept, Log


def blank() -> Kept:
    return Kept(theory=Theory())


def transaction(number: int) -> Transaction:
    facts = (f"last({number})", f"p({number})")
    return Transaction(f"t{number}", "m1", "test", (), ("last(_)",), facts)


def changes(log: Log, count: int) -> list[Change]:
    """Order and apply `count` more transactions."""
    first = log.end + 1
    log.extend([Entry(1, 0.5, transaction(number)) for number in range(first, first + count)])
    found = [outcome.change for outcome in log.commit(first + count - 1)]
    return [change for change in found if change is not None]


def writes(log: Log, count: int) -> Iterator[Write]:
    """Each transaction is ordered in one write and applied in the next."""
    for _ in range(count):
        number = log.end + 1
        entry = Entry(1, 0.5, transaction(number))
        log.extend((entry,))
        yield put(records.PutEntries((entry,)))
        change = log.commit(number)[0].change
        assert change is not None
        yield put(records.PutApplied((change,), log.number, log.chain, log.epoch))


def put(*what: records.Record) -> Write:
    return Write(number=1, records=what, is_urgent=True)


def applied(log: Log, found: list[Change]) -> Write:
    return put(records.PutApplied(tuple(found), log.number, log.chain, log.epoch))
