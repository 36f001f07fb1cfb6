"""Planted bugs in the real replica, each with an invariant that the adversary must see broken.

Those of `kb_mutants` break the same machines; here they run without engine, clock or network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import kb_mutants
import msgspec
import pytest

from zactor.kernel.errors import NotPrimary, OutcomeUnknown
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.replication import formation, voting
from zactor.kernel.replication.durable_state import DurableState
from zactor.kernel.replication.effects import Applied, Decided, Replaced
from zactor.kernel.replication.formation import Formation
from zactor.kernel.replication.log import History
from zactor.kernel.replication.replica import Replica
from zactor.kernel.replication.submissions import Submissions
from zactor.kernel.replication.view_state import ViewState
from zactor.testing.replica_sim.run import play_seed
from zactor.testing.seeds import Found

Patch = Callable[[pytest.MonkeyPatch], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A bug, the invariant it breaks, and seeds that show it."""

    catcher: str
    patch: Patch
    is_alone: bool = True  # nobody else complains, in some run

    def caught(self, *, alone: bool = False) -> Found:
        """Play runs until the catcher complains (alone); return who does then."""
        for seed in range(300):
            found = play_seed(seed).found
            if self.catcher in found and not (alone and len(found) > 1):
                return found
        return {}


def _forgets_what_took_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "took_place", lambda self, id_: None)


def _calls_everything_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may have its change ordered is told that it certainly wasn't."""
    real = Submissions.overdue

    def overdue(self: Submissions, reason: str) -> Any:
        for one in real(self, reason):
            if one.kind == OutcomeUnknown.__name__:
                yield Decided(id=one.id, kind=NotPrimary.__name__, message=one.message)
            else:
                yield one

    monkeypatch.setattr(Submissions, "overdue", overdue)


def _numbers_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt that was struck out leaves its number to the next, and so does a failed one."""
    real = voting.judge

    def judge(me: str, standings: Any, cramped: Any) -> Any:
        verdict = real(me, standings, cramped)
        known = [one.formed.epoch for one in standings.values() if one.formed is not None]
        object.__setattr__(verdict, "epoch", max(known, default=0) + 1)
        return verdict

    monkeypatch.setattr("zactor.kernel.replication.formation.judge", judge)


def _overwrites_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries are applied as soon as they are ordered, and a snapshot then takes their place."""
    monkeypatch.setattr(
        "zactor.kernel.replication.disk_quorum.DiskQuorum.decided", lambda self, primary: 1 << 60
    )
    monkeypatch.setattr(ViewState, "_compare", lambda self, *args, **more: None)


def _founds_with_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_be_founded(self: Formation) -> bool:
        return self.phase.value == "waiting" and self.verdict is not None

    monkeypatch.setattr(Formation, "may_be_founded", property(may_be_founded))
    monkeypatch.setattr(Formation, "_is_expected", lambda *_: True)  # else it would be dropped


def _answers_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client is told of the place behind its own."""
    real = Submissions.seen

    def seen(self: Submissions, clock: Clock) -> Any:
        for one in real(self, clock):
            yield Decided(id=one.id, clock=Clock(one.clock.epoch, one.clock.index + 1))

    monkeypatch.setattr(Submissions, "seen", seen)


def _hides_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is brought up shows but the last of what it lacked."""
    real = DurableState.take_over

    def take_over(self: DurableState, *args: Any) -> int:
        place = len(self._out)
        write = real(self, *args)
        shown = [one for one in self._out[place:] if isinstance(one, Applied)]
        for one in shown[:-1]:
            self._out.remove(one)
        return write

    monkeypatch.setattr(DurableState, "take_over", take_over)


def _goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks something is given the whole, as it was one change ago."""
    real = DurableState.take_over

    def take_over(self: DurableState, *taken: Any) -> int:
        write = real(self, *taken)
        changes = self.log.history.changes()
        if len(changes) > 1:
            before = changes[-2]
            clock = Clock(before.epoch, before.index)
            self._out.append(Replaced(clock=clock, digest=before.digest))
        return write

    monkeypatch.setattr(DurableState, "take_over", take_over)


def _fails_on_standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node with something that isn't applied can't say where it stands."""
    real = DurableState.standing

    def standing(self: DurableState, *args: Any) -> Any:
        assert self.log.end == self.log.number, "nothing may be open"
        return real(self, *args)

    monkeypatch.setattr(DurableState, "standing", standing)


def _facts_vanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a restarted node reads from its disk isn't whole."""
    real = Replica.__init__

    def init(self: Replica, me: Any, role: str, kept: Any, **more: Any) -> None:
        if kept.clock != ORIGIN:
            rows = [row for row in kept.theory.rows() if not row[0].startswith("founded(")]
            kept = msgspec.structs.replace(kept, theory=Theory(rows))
        real(self, me, role, kept, **more)

    monkeypatch.setattr(Replica, "__init__", init)


def _waits_for_who_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose disk has no room is a voice still: its attempts wait for it, and are never given up."""
    monkeypatch.setattr(Formation, "cramp", lambda self, name, transitional: None)


def _few_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with room go on without the others, however few they are."""
    real = formation.next_attempt

    def next_attempt(*args: Any, counted: Any, **more: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(formation, "decides", lambda *_: True)
            return real(*args, counted=counted, **more)

    monkeypatch.setattr(formation, "next_attempt", next_attempt)
    monkeypatch.setattr(Formation, "_is_expected", lambda *_: True)  # else it would be dropped


def _counts_what_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """What found no room counts as if it were on disk."""
    monkeypatch.setattr(Replica, "run_out", lambda self, why: self.written(1 << 60))


def _brings_the_disk_up_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is room the disk gets what was applied, and not what is ordered only."""
    real = DurableState.make_room

    def make_room(self: DurableState) -> None:
        real(self)
        write = self._out[-1]
        self._out[-1] = replace(write, records=write.records[:-1])

    monkeypatch.setattr(DurableState, "make_room", make_room)


def _of(name: str) -> Patch:
    return kb_mutants.MUTANTS[name].patch


MUTANTS: dict[str, Mutant] = {
    "applies at once": Mutant(
        catcher="K1 one history", patch=_of("applies at once"), is_alone=False
    ),
    "answers for another": Mutant(
        catcher="K2 nothing acknowledged is lost", patch=_answers_for_another
    ),
    "cuts its tail": Mutant(
        catcher="K2 nothing acknowledged is lost", patch=kb_mutants._cuts_its_tail, is_alone=False
    ),
    "forgets what took place": Mutant(catcher="K2 once", patch=_forgets_what_took_place),
    "anybody decides": Mutant(catcher="K3 one primary", patch=_of("anybody decides")),
    "the oldest wins": Mutant(
        catcher="K4 newest wins", patch=_of("the oldest wins"), is_alone=False
    ),
    "waits on": Mutant(catcher="K5 minority refuses", patch=_of("waits on")),
    "calls everything refused": Mutant(
        catcher="K5 refused is refused", patch=_calls_everything_refused
    ),
    "reads locally": Mutant(catcher="K6 linearisable", patch=_of("reads locally")),
    "answers at once": Mutant(catcher="K6 seen everywhere", patch=_of("answers at once")),
    "one disk is enough": Mutant(catcher="K7 durable", patch=_of("one disk is enough")),
    "goes on without its disk": Mutant(
        catcher="K8 a failed disk", patch=_of("goes on without its disk")
    ),
    "hides a change": Mutant(catcher="K9 watchers", patch=_hides_a_change),
    "overwrites a fork": Mutant(
        catcher="K10 forks are loud", patch=_overwrites_a_fork, is_alone=False
    ),
    "goes back": Mutant(catcher="K10 nothing applied is undone", patch=_goes_back),
    "numbers stand still": Mutant(
        catcher="K11 an epoch names one attempt", patch=_numbers_stand_still, is_alone=False
    ),
    "founds with a history": Mutant(catcher="P8 histories never mix", patch=_founds_with_a_history),
    "waits for who has no room": Mutant(catcher="liveness", patch=_waits_for_who_has_no_room),
    "few go on": Mutant(catcher="K3 one primary", patch=_few_go_on, is_alone=False),
    "counts what waits for room": Mutant(
        catcher="K7 durable", patch=_counts_what_waits_for_room, is_alone=False
    ),
    "brings the disk up in part": Mutant(
        catcher="K4 newest wins", patch=_brings_the_disk_up_in_part, is_alone=False
    ),
    "fails on standing": Mutant(catcher="nobody breaks", patch=_fails_on_standing),
    "facts vanish": Mutant(catcher="convergence", patch=_facts_vanish),
    "nobody is let in": Mutant(catcher="liveness", patch=_of("nobody is let in")),
}
"""One for each invariant at least."""
