"""Planted bugs in the real replica, each with a checker that must catch it.

A mutant changes one decision. `catcher` must be among those who complain; where a bug breaks
several promises at once, others may be too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import KbAttempt, KbNote, KbPiece, NoteKind, Primary
from zactor.kernel.replication import formation, records, voting
from zactor.kernel.replication import formation as proposal
from zactor.kernel.replication.disk_quorum import DiskQuorum
from zactor.kernel.replication.durable_state import DurableState, PendingWrites
from zactor.kernel.replication.effects import Applied, Decided, Effect
from zactor.kernel.replication.fork_check import ForkCheck
from zactor.kernel.replication.log import Kept
from zactor.kernel.replication.replica import Replica
from zactor.kernel.replication.state_transfer import TransferTarget
from zactor.kernel.replication.submissions import Submissions
from zactor.kernel.replication.view_state import ViewState
from zactor.testing.group_sim.faults import Faults
from zactor.testing.kb_sim.checkers import check_all
from zactor.testing.kb_sim.rare_faults import RareFaults
from zactor.testing.kb_sim.rare_run import RareRun
from zactor.testing.kb_sim.run import KbFaults, KbPlan, KbRun, draw_plan

Patch = Callable[[pytest.MonkeyPatch], None]


def storm(seed: int) -> KbPlan:
    """A run in which views change all the time and power goes often: for what is rare in others."""
    plan = draw_plan(seed)
    return replace(
        plan,
        roles=dict.fromkeys(("n0", "n1", "n2"), "node"),
        faults=Faults(
            delay_ms_max=8.0,
            spike=0.05,
            crashes=1.0,
            restart_ms_max=300.0,
            partitions=2.5,
            breaks=3.0,
            heal_ms_max=500.0,
        ),
        kb_faults=KbFaults(power_losses=0.4, slow_disks=0.5),
        settings=replace(plan.settings, hold_down_ms=100, hold_down_ms_max=200),
        faulty_ms=9_000.0,
        changes_per_s=10.0,
    )


def blackouts(seed: int) -> KbPlan:
    """Disks are slow and power goes often: what isn't on disk is lost."""
    return replace(
        storm(seed),
        faults=Faults(delay_ms_max=3.0),
        kb_faults=KbFaults(power_losses=0.6, slow_disks=1.0),
        changes_per_s=20.0,
    )


def liars(seed: int) -> KbPlan:
    """Members name numbers out of reach all the time."""
    return replace(draw_plan(seed), rare=RareFaults(lies=3.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A bug, who must catch it, and seeds that show it."""

    words: str
    catcher: str
    patch: Patch
    seeds: range = range(60)  # played until one shows it
    plan: Callable[[int], KbPlan] = draw_plan
    run: type[KbRun] = KbRun

    def caught(self) -> dict[str, list[str]]:
        """Play the seeds until the catcher complains; return who does then."""
        for seed in self.seeds:
            try:
                found = check_all(self.run(self.plan(seed)).play())
            except (AssertionError, KeyError) as error:  # a bug may break the simulation too
                found = {"assertion": [str(error)]}
            if self.catcher in found:
                return found
        return {}


def _applies_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiskQuorum, "decided", lambda self, primary: 1 << 60)


def _oldest_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(standings: Any) -> str:
        return min(sorted(standings), key=lambda name: standings[name].number)

    monkeypatch.setattr(voting, "chosen", chosen)
    monkeypatch.setattr(ForkCheck, "is_contrary", lambda self, name: False)
    monkeypatch.setattr(ViewState, "_see_fork", lambda self, name, words: None)
    monkeypatch.setattr(ViewState, "_stop_if_outvoted", lambda self: None)


def _anybody_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "decides", lambda primary, present, forgotten=voting.NOBODY: True)


def _both_halves_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    def decides(primary: Primary, present: Any, forgotten: Any = voting.NOBODY) -> bool:
        return 2 * sum(one in present for one in primary.members) >= len(primary.members)

    monkeypatch.setattr(voting, "decides", decides)


def _waits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Submissions, "overdue", lambda self, reason: iter(()))


def _reads_locally(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Replica, id_: str) -> list[Effect]:
        return [Decided(id=id_, clock=self.clock)]

    monkeypatch.setattr(Replica, "read", read)


def _answers_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Submissions.seen
    monkeypatch.setattr(Submissions, "seen", lambda self, clock: real(self, Clock(1 << 60, 0)))


def _one_disk_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def decided(self: DiskQuorum, primary: Primary) -> int:
        return max(self._claimed(name, primary.epoch) for name in primary.members)

    monkeypatch.setattr(DiskQuorum, "decided", decided)


def _goes_on_without_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Replica, "failed", lambda self, why: [])


def _hides_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several that are applied at once only the first is shown."""
    real = DurableState.apply

    def apply(self: DurableState, number: int) -> Any:
        before = len(self._out)
        outcomes = real(self, number)
        shown = [one for one in self._out[before:] if isinstance(one, Applied)]
        for one in shown[1:]:
            self._out.remove(one)
        return outcomes

    monkeypatch.setattr(DurableState, "apply", apply)


def _loses_a_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    real = TransferTarget.snapshot

    def snapshot(self: TransferTarget, last: KbPiece) -> Kept:
        kept = real(self, last)
        rows = kept.theory.rows()
        lost = [row for row in rows if row[0].startswith("did(")][:1]
        theory = Theory(row for row in rows if row not in lost)
        return Kept(
            theory=theory,
            clock=kept.clock,
            digest=kept.digest,
            ids=kept.ids,
            number=kept.number,
            chain=kept.chain,
            epoch=kept.epoch,
        )

    monkeypatch.setattr(TransferTarget, "snapshot", snapshot)


def _believes_any_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "out_of_reach", lambda standings: frozenset())


def _nobody_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewState._note

    def note(self: ViewState, name: str, message: KbNote, transitional: bool) -> None:
        if message.kind is not NoteKind.READY:
            real(self, name, message, transitional)

    monkeypatch.setattr(ViewState, "_note", note)


MUTANTS: dict[str, Mutant] = {
    "applies at once": Mutant(
        words="what is ordered is applied before a majority has it on disk",
        catcher="K1 one history",
        patch=_applies_at_once,
        seeds=range(120, 200),  # rarely do two nodes apply something else at the same place
    ),
    "one disk is enough": Mutant(
        words="one member's disk decides",
        catcher="K7 durable",
        patch=_one_disk_is_enough,
    ),
    "one disk is enough, and power goes": Mutant(
        words="one member's disk decides",
        catcher="K2 nothing acknowledged is lost",
        patch=_one_disk_is_enough,
        plan=blackouts,
    ),
    "anybody decides": Mutant(
        words="a minority forms a primary",
        catcher="K3 one primary",
        patch=_anybody_decides,
    ),
    "both halves decide": Mutant(
        words="each half of two forms a primary",
        catcher="K3 one primary",
        patch=_both_halves_decide,
        plan=storm,
    ),
    "the oldest wins": Mutant(
        words="the shortest log of a view counts, and nobody looks for forks",
        catcher="K4 newest wins",
        patch=_oldest_wins,
        plan=storm,
    ),
    "waits on": Mutant(
        words="a minority doesn't refuse",
        catcher="K5 minority refuses",
        patch=_waits_on,
    ),
    "reads locally": Mutant(
        words="a read doesn't ask the others",
        catcher="K6 linearisable",
        patch=_reads_locally,
    ),
    "answers at once": Mutant(
        words="a client is told of a change that not all members have applied",
        catcher="K6 seen everywhere",
        patch=_answers_at_once,
    ),
    "goes on without its disk": Mutant(
        words="a failed disk is overlooked",
        catcher="K8 torn or failed",
        patch=_goes_on_without_disk,
    ),
    "hides a change": Mutant(
        words="a change takes place and nobody who watches is told",
        catcher="K9 watchers",
        patch=_hides_a_change,
    ),
    "loses a fact": Mutant(
        words="a snapshot isn't whole",
        catcher="convergence",
        patch=_loses_a_fact,
    ),
    "believes any epoch": Mutant(
        words="one member's absurd epoch is followed",
        catcher="P11 within reach",
        patch=_believes_any_epoch,
        plan=liars,
        run=RareRun,
    ),
    "nobody is let in": Mutant(
        words="who is brought up stays outside",
        catcher="liveness",
        patch=_nobody_is_let_in,
    ),
}
"""One for each checker at least."""


# -- the algorithm's weak places ----------------------------------------------------------------
def _too_few_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    real = proposal.first_attempt

    def first_attempt(*args: Any) -> KbAttempt:
        attempt = real(*args)
        return KbAttempt(
            attempt.primary,
            attempt.primary.members[:1],
            attempt.number,
            attempt.chain,
            attempt.log_epoch,
        )

    monkeypatch.setattr(formation, "first_attempt", first_attempt)
    monkeypatch.setattr(
        formation.Formation, "_is_expected", lambda *_: True
    )  # nor does anybody look


def _attempts_dont_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    real = voting._blocking

    def blocking(voters: Any, forgotten: Any, standings: Any) -> Any:
        bare = [msgspec.structs.replace(standing, attempts=()) for standing in standings]
        return real(voters, forgotten, bare)

    monkeypatch.setattr(voting, "_blocking", blocking)


def _speaks_before_its_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real = PendingWrites.write

    def write(self: PendingWrites, end: int, *put: Any, is_urgent: bool = True) -> Any:
        effect = real(self, end, *put, is_urgent=is_urgent)
        self.durable = end
        return effect

    monkeypatch.setattr(PendingWrites, "write", write)


def _cuts_its_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail of an old view is thrown away when the view ends."""
    real = DurableState.standing

    def standing(self: DurableState, *args: Any) -> Any:
        if self.log.tail:
            self.log.cut()
            self._write(records.CutTail())
        return real(self, *args)

    monkeypatch.setattr(DurableState, "standing", standing)


def _drops_what_comes_after_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ViewState._order

    def order(self: ViewState, name: str, message: Any) -> None:
        if not self.is_transitional:
            real(self, name, message)

    monkeypatch.setattr(ViewState, "_order", order)


def _sends_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything open is sent again in every primary, and nobody remembers what took place."""
    monkeypatch.setattr(limits, "TRANSACTION_IDS_KEPT", 0)
    real = Submissions.settle

    def settle(self: Submissions, history: Any, ordered: Any) -> Iterator[Decided]:
        return real(self, history, ())

    monkeypatch.setattr(Submissions, "settle", settle)


ALSO: dict[str, Mutant] = {
    "an attempt isn't recorded by all": Mutant(
        words="who was counted for a majority doesn't know what for",
        catcher="K1 one history",
        patch=_too_few_voices,
        plan=storm,
    ),
    "claims before the disk": Mutant(
        words="a member says it has on disk what is only on its way there",
        catcher="K7 durable",
        patch=_speaks_before_its_disk,
        plan=blackouts,
    ),
    "cuts its tail": Mutant(
        words="what is ordered and not applied dies with its view",
        catcher="K2 nothing acknowledged is lost",
        patch=_cuts_its_tail,
        plan=storm,
    ),
    "drops what comes after the signal": Mutant(
        words="what others may have seen as regular isn't taken down, and isn't heard of again",
        catcher="liveness",
        patch=_drops_what_comes_after_the_signal,
        plan=storm,
        seeds=range(75, 90),
    ),
    "sends twice": Mutant(
        words="a transaction is sent again though it has its place",
        catcher="K2 nothing acknowledged is lost",
        patch=_sends_twice,
        plan=storm,
    ),
    "attempts don't bind": Mutant(
        words="an attempt that may have succeeded is forgotten",
        catcher="K3 one primary",
        patch=_attempts_dont_bind,
        plan=storm,
        seeds=range(200),
    ),
}
"""The algorithm's known weak places: each may break several promises."""
