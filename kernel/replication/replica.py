"""The knowledge base's replica at one node: a machine over the group engine's order.

All members of the primary order transactions alike (SAFE), write them to disk, say so, and apply
them when a majority of the primary has them on disk. So what was applied anywhere, or told to
anybody, is on disk with a majority, and whoever forms the next primary has it. Which members form
it, dynamic voting decides. Rules and proofs in words: PROTOCOL.md, section 9.

Sources: Amir, Tutu, *From total order to database replication*, ICDCS 2002; Yeger-Lotem, Keidar,
Dolev, PODC 1997; Ongaro, Ousterhout, USENIX ATC 2014 (what a majority has on disk is decided).
"""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel.errors import NotPrimary
from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import (
    Change,
    KbLinked,
    KbNote,
    KbOrdered,
    KbSubmission,
    NoteKind,
    Primary,
    Transaction,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.replication.durable_state import DurableState
from zactor.kernel.replication.effects import Decided, Effect, Retired
from zactor.kernel.replication.log import Kept
from zactor.kernel.replication.losses import Losses
from zactor.kernel.replication.submissions import Submissions, read_note, refusal
from zactor.kernel.replication.view_state import ViewState


class Replica:
    """One node's part in the knowledge base of its cluster.

    Threads: one at a time. Every call returns effects to be carried out in their order.
    """

    def __init__(
        self, me: NodeId, role: str, kept: Kept, *, is_held: bool = False, founds_no: str = ""
    ) -> None:
        """Begin with what this node has on disk (`Store.load`).

        Args:
            role: node or master.
            is_held: it has no say in any view before `begin`.
            founds_no: why it founds no cluster, in words for people; "" if it may.
        """
        self.me = me.name
        self._role = role
        self._out: list[Effect] = []
        self._state = DurableState(kept, self._out)
        self._open = Submissions(me.name)
        self._is_held = is_held
        self._founds_no = founds_no
        self._ways = 0  # how often the view was begun anew
        self._told_room: bool | None = None  # whether the disk has room; None: not in this view
        self._view: ViewId | None = None  # None: the group engine has installed none yet
        self._view_state = self._enter(View(id=ViewId(0, me), members=(me,)))

    def _enter(self, view: View) -> ViewState:
        way = self._ways
        return ViewState(self.me, view, self._state, self._open, self._out, way=way)

    # -- what others may ask -----------------------------------------------------------------
    @property
    def theory(self) -> Theory:
        """The facts as they were decided, as far as is known here; another after `Replaced`."""
        return self._state.log.theory

    @property
    def clock(self) -> Clock:
        """The place of the last change known here."""
        return self._state.log.clock

    @property
    def shown(self) -> Clock:
        """The last change that all members of the primary have applied, as far as is known here."""
        return self._view_state.shown

    @property
    def digest(self) -> bytes:
        """Of all changes up to `clock`."""
        return self._state.log.digest

    @property
    def primary(self) -> Primary | None:
        """The primary that works in this view, this node in it or not."""
        return self._view_state.formation.primary

    @property
    def is_primary(self) -> bool:
        """Whether changes are taken here now."""
        return self._view_state.is_primary

    @property
    def founding(self) -> str:
        """Of the cluster this node belongs to, "" if it knows of none."""
        return self._state.founding

    @property
    def last_primary(self) -> Primary | None:
        """The last primary this node knows to have been formed."""
        return self._state.formed

    @property
    def strangers(self) -> tuple[str, ...]:
        """Members of this view that belong to another cluster, founded apart."""
        verdict = self._view_state.formation.verdict
        return verdict.strangers if verdict is not None else ()

    @property
    def forks(self) -> tuple[str, ...]:
        """What was seen of other histories of our cluster, in words for people."""
        return tuple(self._state.forks.values())

    @property
    def is_settled(self) -> bool:
        """Whether it is clear if there is a primary here."""
        return self._view_state.is_settled

    @property
    def no_room(self) -> str:
        """Why this node's disk doesn't take what it must have, in words; "" if it does."""
        return self._state.no_room

    @property
    def cramped(self) -> tuple[str, ...]:
        """Members of this view that say that their disks have no room."""
        return tuple(sorted(self._view_state.formation.cramped))

    @property
    def is_written(self) -> bool:
        """Whether all that is to be on disk is there."""
        return self._state.writes.is_idle

    @property
    def may_be_founded(self) -> bool:
        """Whether `found` would found a cluster now: nobody in this view knows of one."""
        return self._view_state.may_found

    def changes(self) -> tuple[Change, ...]:
        """Return the last changes, oldest first (at most HISTORY_KEPT)."""
        return self._state.log.history.changes()

    def reason(self) -> str:
        """Return why no changes are taken here, in words for people."""
        if self.may_be_founded and self._founds_no:
            return self._founds_no
        return self._view_state.reason()

    # -- what happens at this node -----------------------------------------------------------
    def submit(self, transaction: Transaction, at: float) -> list[Effect]:
        """Have `transaction` ordered; sooner or later a `Decided` with its id comes.

        Args:
            at: wall clock in s, for people only.
        """
        words = refusal(transaction)
        if words is not None:
            return [words]
        clock = self._state.log.history.took_place(transaction.id)
        if clock is not None and not self.is_primary:  # asked again, and it is known how it ended
            return [Decided(id=transaction.id, clock=clock)]
        if self._waits_for_room and not self._open.has(transaction.id):  # it may last for days
            why = self.reason()
            return [Decided(id=transaction.id, kind=NotPrimary.__name__, message=why)]
        return self._add(transaction.id, KbSubmission(transaction, at))

    @property
    def _waits_for_room(self) -> bool:
        waits = self._view_state.formation.waits_for_room or self.no_room
        return bool(waits) and not self.is_primary

    def read(self, id_: str) -> list[Effect]:
        """A `Decided` with this id comes when all is applied here that was decided anywhere."""
        return self._add(id_, read_note(id_))

    def _add(self, id_: str, message: KbSubmission | KbNote) -> list[Effect]:
        decided = self._open.add(id_, message)
        if decided is not None:
            return [decided]
        self._view_state.send_open()
        return self._finish()

    def found(self, founding: str, at: float) -> list[Effect]:
        """Found a cluster called `founding` with all of the present view, if all know of none.

        The caller knows that there is no other; what it knew in an earlier view isn't enough.
        """
        if not self._founds_no:
            self._view_state.found(founding, at)
        return self._finish()

    def losses(self) -> Losses | None:
        """Return what is missing where `recover` or `forget` would help; None where not."""
        return self._view_state.losses()

    def recover(self, founding: str, at: float) -> list[Effect]:
        """By an operator's word: the members of this view go on, as a new cluster `founding`."""
        self._view_state.give_word(NoteKind.RECOVER, founding, at)
        return self._finish()

    def forget(self, name: str, at: float) -> list[Effect]:
        """By an operator's word: the member `name` is gone for good, and has no vote any more."""
        self._view_state.give_word(NoteKind.FORGET, name, at)
        return self._finish()

    def retire(self) -> list[Effect]:
        """This node stops in good order; `Retired` comes when the others go on without it."""
        primary, view_state = self.primary, self._view_state
        view_state.is_leaving = True
        if self.is_primary and primary is not None and primary.members != (self.me,):
            view_state.say(Service.AGREED, KbNote(NoteKind.LEAVING, ""))
        elif self.is_settled or self._is_held or view_state.is_broken or self._is_observer():
            self._out.append(Retired())
        return self._finish()  # else a primary is being made: there it is said

    def _is_observer(self) -> bool:
        is_in = self.primary is None or self.me in self.primary.members
        return not (is_in or self._view_state.has_asked)  # who has asked may be let in any moment

    def tick(self, now_ms: int) -> list[Effect]:
        """Some time has passed (monotonic): refuse what has waited too long."""
        self._open.now_ms = now_ms
        if not self.is_primary:
            self._out += self._open.overdue(self.reason())
        return self._finish()

    def written(self, number: int) -> list[Effect]:
        """All Writes up to `number` are on disk."""
        self._view_state.written(number)
        self._tell_room()
        return self._finish()

    def run_out(self, why: str) -> list[Effect]:
        """The disk has no room for a Write, which the shell keeps and tries again.

        Until `make_room` there are no more of them.
        """
        self._state.run_out(why)
        self._tell_room()
        return self._finish()

    def make_room(self) -> list[Effect]:
        """The disk has taken all Writes so far: it has room again for what it lacks."""
        self._state.make_room()
        return self._finish()

    def _tell_room(self) -> None:
        """Let the others know if it is otherwise than they were told in this view."""
        has_room, view_state = not self._state.no_room, self._view_state
        if self._told_room in (None, has_room) or (has_room and view_state.is_leaving):
            return
        self._told_room = has_room
        kind = NoteKind.ROOMY if has_room else NoteKind.CRAMPED
        view_state.has_asked |= has_room and self.me in view_state.formation.joining
        view_state.say(Service.SAFE, KbNote(kind, ""))

    def failed(self, why: str) -> list[Effect]:
        """A write failed: this node can't keep its word."""
        self._view_state.stop(f"the knowledge base can't be written: {why}")
        return self._finish()

    # -- what the group engine gives ---------------------------------------------------------
    def on_view(self, view: View, together: Sequence[NodeId]) -> list[Effect]:
        """The node works in `view` now; `together` came with it (nothing depends on them)."""
        self._view_state.leave()
        self._view, self._told_room, self._ways = view.id, None, 0
        self._change(self._enter(view))
        self._stand()
        return self._finish()

    def _change(self, new: ViewState) -> None:
        before, self._view_state = self._view_state, new
        new.is_broken, new.is_leaving = before.is_broken, before.is_leaving

    def begin(self) -> list[Effect]:
        """This node has met whom it can find; from now on it has its say.

        A node that comes back could make a primary of itself alone, by its vote, and forget the
        others, who are there and were about to be met.
        """
        if self._is_held:
            self._is_held = False
            self._stand()
        return self._finish()

    def _stand(self) -> None:
        if self._view is not None and not self._is_held:
            self._told_room = not self._state.no_room
            self._view_state.say(Service.AGREED, self._state.standing(self._view, self._role))

    def on_transitional(self, view: ViewId, members: Sequence[NodeId]) -> list[Effect]:
        """The guarantees of the present view end: the others may not see what follows."""
        self._view_state.is_transitional = True
        return self._finish()

    def on_delivery(self, sender: NodeId, message: KbOrdered, transitional: bool) -> list[Effect]:
        """A message to the group of the knowledge base, at its place in the order."""
        self._view_state.deliver(sender.name, message, transitional)
        if self._view_state.is_to_begin_anew:
            self._begin_anew()
        return self._finish()

    def _begin_anew(self) -> None:
        before = self._view_state
        before.begin_anew()
        self._ways += 1
        self._change(self._enter(before.formation.view))
        self._view_state.formation = before.formation.begin_anew()
        self._stand()

    def on_link(self, sender: NodeId, message: KbLinked) -> list[Effect]:
        """A message of a member's link."""
        self._view_state.link(sender, message)
        return self._finish()

    def _finish(self) -> list[Effect]:
        out = list(self._out)
        self._out.clear()
        return out
