"""The node's replica of the knowledge base with its disk and its group, and those who wait for it.

This is the one small interface that everything else sees of replication: `commit`, `theory`,
`until`, and a listener that is told what changed. Kernel's loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from zactor.kernel.errors import OutcomeUnknown, TimedOut, ZactorError, from_wire
from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.knowledge import KbDurable, KbLinked, KbStanding, Transaction
from zactor.kernel.messages.views import View, ViewId, first_view
from zactor.kernel.replication import effects
from zactor.kernel.replication.formation import founding_fact
from zactor.kernel.replication.losses import Losses
from zactor.kernel.replication.replica import Replica
from zactor.kernel.replication.voting import MAKE_ROOM, room_words
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.sessions.session import Listener
from zactor.supervisor.kb.changed_facts import ChangedFacts
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.kb.group_channel import GroupChannel
from zactor.supervisor.kb.home_founding import HomeFounding
from zactor.supervisor.kb.provenance import ChangeReport
from zactor.supervisor.kb.store import Store
from zactor.supervisor.kb.store_writer import StoreWriter
from zactor.supervisor.kb.trace import KbEvent, KbTrace

log = structlog.get_logger()

T = TypeVar("T")

COMMIT_TIMEOUT_S = 10.0
NO_PRIMARY_S = 3.0  # a new primary takes a few ms, a joiner of 100,000 facts 2 s
CATCH_UP_S = 1.0  # who reads the knowledge base waits for no more
DISK_STUCK_S = 20.0  # a write that takes so long won't come back: the others wait for us
_WORD_POLL_S = 0.01  # an operator waits, nobody else does
_READ = "read "  # begins the ids of what changes nothing


class KnowledgeBase(Listener):
    """One node's copy of the theory, kept equal to the others'."""

    def __init__(
        self,
        me: NodeId,
        role: str,
        store: Store,
        *,
        send: Callable[[NodeId, KbLinked], None],
        all_in: Callable[[], bool],
        is_eager: bool,
        home: HomeFounding,
        on_change: Callable[[ChangedFacts], None],
        on_reset: Callable[[], None],
        on_primary: Callable[[], None],
        on_broken: Callable[[str], None],
        tell: Callable[[KbEvent], None],
    ) -> None:
        """Begin with what is in `store`.

        Args:
            send: gives a message to the link to a member.
            all_in: whether everybody who was met is a member of the view.
            is_eager: found a cluster also if nobody asks for anything.
            home: remembers which cluster its nodes belong to.
            on_change: gets the facts that a change took away and brought; on_reset: all may be
                different.
            on_primary: this node is in another primary, or in none.
            on_broken: this node must stop, and why.
            tell: brings an event to whoever wants it.
        """
        self._me = me
        self._is_eager = is_eager
        self._view = first_view(me)
        self._send = send
        self._all_in = all_in
        self._on_change = on_change
        self._on_reset = on_reset
        self._on_primary = on_primary
        self._on_broken = on_broken
        self._trace = KbTrace(tell)
        self._numbers = itertools.count(1)
        self._nonce = secrets.token_hex(8)
        self._deciding: dict[str, asyncio.Future[Clock]] = {}
        self._changed = asyncio.Event()
        self._changes = 0  # of the theory, in this life
        self._changed_at = self._outside_since = time.monotonic()
        self._is_ready = False  # everybody who was there at the start is met
        self._is_wanted = False  # somebody asked this node for a change
        self._group = GroupChannel()
        self._retired = asyncio.Event()
        self._store = store
        self._home = home
        kept = store.load()
        is_new = not (kept.formed or kept.attempts or kept.founding)
        self._founds_no = home.bars(me.name) if is_new else ""
        self._replica = Replica(me, role, kept, is_held=True, founds_no=self._founds_no)
        self._note_founding()
        self._writer = self._make_writer(store)

    def _make_writer(self, store: Store) -> StoreWriter:
        loop, replica = asyncio.get_running_loop(), self._replica
        return StoreWriter(
            store,
            written=lambda number: _tell(loop, self._wrote, number),
            failed=lambda why: _tell(loop, self._safely, lambda: replica.failed(why)),
            run_out=lambda why: _tell(loop, self._ran_out, why),
            has_room=lambda: _tell(loop, self._safely, replica.make_room),
        )

    # -- what there is -----------------------------------------------------------------------
    @property
    def theory(self) -> Theory:
        """The facts as they were decided, as far as is known here."""
        return self._replica.theory

    @property
    def clock(self) -> Clock:
        """The place of the last change that is known here."""
        return self._replica.clock

    @property
    def primary(self) -> tuple[str, ...]:
        """The members of the primary that this node is in; () while it is in none."""
        primary = self._replica.primary
        return primary.members if primary is not None and self._replica.is_primary else ()

    @property
    def strangers(self) -> tuple[str, ...]:
        """Members of the view that belong to another cluster, founded by itself."""
        return self._replica.strangers

    def apart(self) -> list[str]:
        """Return what somebody must know of each of the strangers, and decide."""
        return [
            f"{name} belongs to another cluster, founded apart or recovered without it: to let a"
            " node join, stop it and move its state folder away"
            for name in self.strangers
        ]

    @property
    def forks(self) -> tuple[str, ...]:
        """Histories of our cluster that contradict ours, in words for people."""
        kept = (f"another history is kept in {file}" for file in self._store.kept_aside())
        return (*self._replica.forks, *kept)

    @property
    def acting(self) -> bool:
        """Whether this node acts for the cluster: of the members exactly one, as a rule."""
        return self.primary[:1] == (self._me.name,)

    @property
    def is_founded(self) -> bool:
        """Whether this node belongs to a cluster, as far as it knows by itself."""
        return bool(self._replica.founding)

    @property
    def is_settled(self) -> bool:
        """Whether it is clear where this node stands: in the primary, or that there is none."""
        if not self._is_ready:
            return False
        if self._replica.may_be_founded:
            return self._all_in() and not self._may_found()
        return self._replica.is_settled

    def why_not(self) -> str:
        """Return why no changes are taken here, "" if they are."""
        return "" if self._replica.is_primary else self._replica.reason()

    @property
    def no_room(self) -> str:
        """Why the disk of this node doesn't take what it must have, in words; "" if it does."""
        return self._replica.no_room

    def without_room(self) -> dict[str, str]:
        """Return the members whose disks have no room, each with what somebody must know of it."""
        words = {
            name: f"{name} takes no part in changes: {room_words((name,))}"
            for name in self._replica.cramped
        }
        if self.no_room:
            words[self._me.name] = (
                f"{self._me.name} takes no part in changes: {self.no_room}: {MAKE_ROOM}"
            )
        return words

    def losses(self) -> Losses | None:
        """Return what is missing where an operator could say to go on; None where not."""
        return self._replica.losses() if self._is_ready else None

    def quiet_s(self) -> float:
        """Return how long ago the theory here changed."""
        return time.monotonic() - self._changed_at

    def age_s(self) -> float:
        """Return for how long the theory here may have been old; 0.0 in the primary."""
        return 0.0 if self._replica.is_primary else time.monotonic() - self._outside_since

    def history(self) -> list[ChangeReport]:
        """Return the last changes, oldest first."""
        return [ChangeReport.of(change) for change in self._replica.changes()]

    async def until(self, find: Callable[[], T | None], timeout_s: float | None) -> T | None:
        """Return what `find` returns as soon as that is something; None when the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                while (found := find()) is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return None
        return found

    async def until_found(
        self, find: Callable[[], Awaitable[T | None]], timeout_s: float
    ) -> T | None:
        """Return what `find` finds, which takes its time, and is called again after each change.

        It is called at least once; None when nothing is found and the time is over.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        while True:
            seen = self._changes
            found = await find()
            left_s = end_s - loop.time()
            if found is not None or left_s <= 0:
                return found
            await self._changed_since(seen, left_s)

    async def _changed_since(self, changes: int, timeout_s: float) -> None:
        await self.until(lambda: self._changes > changes or None, timeout_s)

    # -- changing it -------------------------------------------------------------------------
    def new_id(self) -> str:
        """Return an id that nobody else in the cluster makes, ever."""
        # A node that lost its folder begins at its first life again: its name and number don't do.
        return f"{self._me}~{self._nonce}#{next(self._numbers)}"

    async def commit(
        self,
        why: str,
        *,
        who: str,
        require: Sequence[Requirement] = (),
        retract: Sequence[str] = (),
        assert_: Sequence[str] = (),
        id: str = "",
    ) -> Clock:
        """Change the theory, all of it or nothing; return when all members have applied it.

        Args:
            id: of the transaction, where somebody may ask for it again: what took place under
                that id isn't done again, and ends as it ended then. "": a new one.

        Raises:
            NotPrimary: this side of the cluster takes no changes; says why. Nothing changed.
            ZactorError: a requirement doesn't hold; of the class it names. Nothing changed.
            OutcomeUnknown: the primary was lost meanwhile; it may still take place.
            TimedOut: not decided within COMMIT_TIMEOUT_S; it may still take place.
        """
        transaction = Transaction(
            id=id or self.new_id(),
            who=who,
            why=why,
            require=tuple(require),
            retract=tuple(retract),
            assert_=tuple(assert_),
        )
        self._is_wanted = True
        self._consider_founding()
        return await self._decision(
            transaction.id,
            lambda: self._replica.submit(transaction, time.time()),
            f"the change {why!r} was not decided",
        )

    async def catch_up(self) -> None:
        """Return when all is here that was decided anywhere before, or that can't be known.

        A minority can't know, nor anybody with a member that is stuck: one reads what is here.
        """
        try:
            async with asyncio.timeout(CATCH_UP_S):
                await self.until(lambda: self.is_settled or None, None)  # we may just be coming
                if len(self.primary) < 2:
                    return
                id_ = f"{_READ}{self.new_id()}"
                await self._decision(id_, lambda: self._replica.read(id_), "nobody answered a read")
        except (ZactorError, TimeoutError) as error:
            log.debug("read_behind", why=str(error))

    async def forget(self, name: str) -> None:
        """By an operator's word the member `name` is gone for good; see PROTOCOL.md, P13.

        It returns when that is on disk here, and a primary is formed if it can be.

        Raises:
            OutcomeUnknown: the view changed meanwhile.
        """

        def is_done() -> bool:
            losses = self._replica.losses()
            is_forgotten = losses is not None and name not in losses.missing
            return bool(self.primary) or (is_forgotten and self._replica.is_written)

        self._carry_out(self._replica.forget(name, time.time()))
        await self._word_counts(is_done, f"{name} may be forgotten, or not")

    async def recover(self) -> None:
        """By an operator's word the members of this view go on; see PROTOCOL.md, P12.

        Raises:
            OutcomeUnknown: the view changed meanwhile.
        """

        def is_done() -> bool:
            return bool(self.primary) and founding_fact(self._replica.founding) in self.theory

        at = time.time()
        self._carry_out(self._replica.recover(self._new_founding(at), at))
        await self._word_counts(is_done, "a primary may be formed, or not")

    async def _word_counts(self, is_done: Callable[[], bool], otherwise: str) -> None:
        view, end = self._view.id, time.monotonic() + COMMIT_TIMEOUT_S
        while not is_done():
            if self._view.id != view:
                raise OutcomeUnknown(
                    f"the view of {self._me} changed, {otherwise}: look, ask again"
                )
            if time.monotonic() > end:
                raise TimedOut(f"not agreed within {COMMIT_TIMEOUT_S:g} s, {otherwise}: ask again")
            await asyncio.sleep(_WORD_POLL_S)

    async def everywhere(self) -> None:
        """Return when all members of the primary have applied what is known here.

        A change of one's own is there when `commit` returns; this is for what others wrote. A view
        that is about to change keeps nobody waiting.
        """
        clock, replica = self.clock, self._replica
        await self.until(lambda: replica.shown >= clock or not self.primary or None, CATCH_UP_S)

    async def _decision(
        self, id_: str, begin: Callable[[], Sequence[effects.Effect]], what: str
    ) -> Clock:
        future = self._deciding.get(id_)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._deciding[id_] = future
            self._carry_out(begin())
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                return await asyncio.shield(future)  # who asked for the same waits for it too
        except TimeoutError:
            raise TimedOut(
                f"{what} within {COMMIT_TIMEOUT_S:g} s: is a node stuck? see `zactor status`"
            ) from None

    # -- life --------------------------------------------------------------------------------
    async def open(self, groups: GroupHost) -> None:
        """Be able to speak to the others; the node must be listening to them already."""
        await self._group.open(groups)

    def ready(self) -> None:
        """Discovery is over: whoever is alone is really alone, and has its say from now on."""
        self._is_ready = True
        self._safely(self._replica.begin)
        self._consider_founding()

    def tick(self, now_ms: int) -> None:
        """Let time pass."""
        self._group.flush()
        self._consider_founding()
        self._carry_out(self._replica.tick(now_ms))
        if (late_s := self._writer.waiting_s()) > DISK_STUCK_S:
            self._on_broken(f"the disk has not answered for {late_s:.0f} s")

    async def retire(self, timeout_s: float) -> None:
        """Let the others go on without this node, so that they needn't outvote it."""
        self._carry_out(self._replica.retire())
        try:
            async with asyncio.timeout(timeout_s):
                await self._retired.wait()
        except TimeoutError:
            log.warning("kb_not_retired", why="the others didn't agree in time")

    def close(self) -> None:
        """Write what is left; it blocks for as long as the disk takes."""
        self._writer.close()

    # -- from the group and the links --------------------------------------------------------
    def on_view(self, view: View, together: tuple[NodeId, ...]) -> None:
        """The node works in `view` now."""
        self._view = view
        self._safely(lambda: self._replica.on_view(view, together))
        self._consider_founding()

    def on_transitional(self, view: ViewId, members: tuple[NodeId, ...]) -> None:
        """The guarantees of `view` end here."""
        self._safely(lambda: self._replica.on_transitional(view, members))

    def on_delivery(self, message: GroupData, transitional: bool) -> None:
        """A message to the group of the knowledge base."""
        said = self._group.read(message)
        if said is not None:
            self._safely(lambda: self._replica.on_delivery(message.sender, said, transitional))
            self._consider_founding()
            if isinstance(said, KbDurable | KbStanding):
                self._changed.set()  # `everywhere` or `catch_up` may be waiting for it

    def receive(self, sender: NodeId, message: KbLinked) -> None:
        """A replica's message came over the link to `sender`."""
        self._safely(lambda: self._replica.on_link(sender, message))

    # -- the disk ----------------------------------------------------------------------------
    def _wrote(self, number: int) -> None:
        had_none = bool(self.no_room)
        self._safely(lambda: self._replica.written(number))
        if had_none and not self.no_room:
            self._trace.has_room(self._me.name)

    def _ran_out(self, why: str) -> None:
        had_room = not self.no_room
        self._safely(lambda: self._replica.run_out(why))
        if had_room:
            self._trace.ran_out(self._me.name, why)

    # -- inside ------------------------------------------------------------------------------
    def _safely(self, step: Callable[[], Sequence[effects.Effect]]) -> None:
        """A replica that fails in the middle of a step must not go on: it counts for a majority."""
        try:
            self._carry_out(step())
        except Exception as error:
            log.exception("kb_failed")
            self._on_broken(f"the knowledge base failed: {error!r}")

    def _may_found(self) -> bool:
        """Whoever finds no cluster founds one. Only a node that is alone and can be reached from
        other machines waits until it is asked for something: it may be declared there soon.
        """
        alone = len(self._view.members) == 1
        waits = alone and not (self._is_eager or self._is_wanted)
        return self._is_ready and self._all_in() and not (waits or self._founds_no)

    def _note_founding(self) -> None:
        """Who is in a primary, or was, belongs to its cluster, and so does the home."""
        primary = self._replica.last_primary
        if primary is not None:
            self._home.note(primary.founding)

    def _consider_founding(self) -> None:
        if self._replica.may_be_founded and self._may_found():
            at = time.time()
            self._carry_out(self._replica.found(self._new_founding(at), at))

    def _new_founding(self, at: float) -> str:
        # With the time, since a node that lost its folder counts anew.
        return f"{self._me}/{round(at * 1000)}"

    def _carry_out(self, todo: Sequence[effects.Effect]) -> None:
        """Do what the machine says, in its order."""
        for effect in todo:
            match effect:
                case effects.Multicast():
                    self._group.say(effect)
                case effects.SendTo(node=node, message=message):
                    self._send(node, message)
                case effects.Write():
                    self._writer.put(effect)
                case effects.Decided():
                    self._decide(effect)
                case effects.Broken(why=why, is_fork=is_fork):
                    self._on_broken(f"{why}; {self._keep_aside()}" if is_fork else why)
                case Trace(event=event, fields=fields):
                    log.debug(event, **fields)
                case _:
                    self._tell(effect)
        self._group.flush()

    def _keep_aside(self) -> str:
        """Copy what is on disk here to where nothing replaces it; return where, in words."""
        self._writer.close()
        try:
            file = self._store.keep_aside(f"{self.clock}")
        except ZactorError as error:
            return f"what is here couldn't be kept aside: {error}"
        return (
            f"what is here is kept in {file}; to take what the others have instead, move"
            f" {self._store.file} away and start the node again"
        )

    def _tell(
        self,
        effect: effects.Applied
        | effects.Replaced
        | effects.BecamePrimary
        | effects.LostPrimary
        | effects.Stranger
        | effects.Retired,
    ) -> None:
        match effect:
            case effects.Applied(change=change):
                self._trace.applied(effect)
                self._on_change(ChangedFacts.of(change))
                self._note_change()
            case effects.Replaced():
                self._trace.replaced(effect)
                self._on_reset()
                self._note_change()
            case effects.BecamePrimary():
                self._note_founding()
                self._trace.primary(effect, self.clock)
                self._changed.set()
                self._on_primary()
            case effects.LostPrimary():
                self._trace.lost(effect)
                self._outside_since = time.monotonic()
                self._changed.set()
                self._on_primary()
            case effects.Stranger(names=names, why=why):
                log.error("another_cluster", nodes=list(names), why=why)
            case effects.Retired():
                self._retired.set()

    def _note_change(self) -> None:
        self._changed_at = time.monotonic()
        self._changes += 1
        self._changed.set()

    def _decide(self, decided: effects.Decided) -> None:
        if not decided.kind and not decided.id.startswith(_READ):
            self._trace.acknowledged(decided.id, decided.clock)
        future = self._deciding.pop(decided.id, None)
        if future is None:
            return
        if decided.kind:
            future.set_exception(from_wire(decided.kind, decided.message, {}))
            future.exception()  # whoever waited may have given up
        else:
            future.set_result(decided.clock)


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[T], None], value: T) -> None:
    with contextlib.suppress(RuntimeError):  # the kernel's loop may be at its end
        loop.call_soon_threadsafe(call, value)
