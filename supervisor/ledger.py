"""The node's replica of the knowledge base with its disk, and those who wait for it.

This is the one small interface that everything else sees of replication: `commit`, `theory`,
`until`, and a listener that is told what went and what came. Kernel thread only.
"""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import structlog

from zactor.kernel.errors import NotPrimary, RemoteProtocolError, TimedOut, ZactorError, from_wire
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge import effects
from zactor.kernel.knowledge.replica import Replica
from zactor.kernel.knowledge.store import Store
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.protocol.messages import KbMessage, Transaction
from zactor.supervisor import theoryview

log = structlog.get_logger()

T = TypeVar("T")

Requirement = tuple[str, str, str]  # goal, class of the error where it fails, its words

COMMIT_TIMEOUT_S = 10.0
NO_LEADER_S = 1.0  # a change of leaders takes a few ms; longer means that there is none


class Ledger:
    """One node's copy of the theory, kept equal to the others'."""

    def __init__(
        self,
        me: str,
        incarnation: int,
        store: Store,
        *,
        send: Callable[[str, KbMessage], None],
        on_change: Callable[[Sequence[str], Sequence[str]], None],
        on_reset: Callable[[], None],
        on_leader: Callable[[str], None],
        on_broken: Callable[[str], None],
    ) -> None:
        """`on_change` gets the facts that went and came; `on_reset`: all may be different."""
        self._store = store
        self._send = send
        self._on_change = on_change
        self._on_reset = on_reset
        self._on_leader = on_leader
        self._on_broken = on_broken
        self._prefix = f"{me}@{incarnation}"
        self._numbers = itertools.count(1)
        self._deciding: dict[str, asyncio.Future[Clock]] = {}
        self._changed = asyncio.Event()
        self._changed_at = time.monotonic()
        self._me = me
        self._replica = Replica(me, store.load(), theoryview.nodes)
        self._live: set[str] = set()
        self.leader = ""

    @property
    def theory(self) -> Theory:
        """The facts as they are here now."""
        return self._replica.theory

    @property
    def clock(self) -> Clock:
        """The place of the last change that is known here."""
        return self._replica.clock

    @property
    def digest(self) -> bytes:
        """Of the whole history up to `clock`."""
        return self._replica.digest

    @property
    def acting(self) -> bool:
        """Whether this node acts for the cluster: of the members exactly one, as a rule."""
        return self.leader == self._me

    def age_s(self) -> float:
        """Return how long ago the theory here changed."""
        return time.monotonic() - self._changed_at

    def new_id(self) -> str:
        """Return an id that nobody else in the cluster makes, ever."""
        return f"{self._prefix}#{next(self._numbers)}"

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
        """Change the theory of every node, all of it or nothing; return when all have it.

        Args:
            id: of the transaction, where somebody may ask for it again: what took place under
                that id isn't done again, and ends as it ended then. "": a new one.

        Raises:
            NotPrimary: nobody orders changes here. Nothing changed.
            ZactorError: a requirement doesn't hold; of the class it names. Nothing changed.
            TimedOut: not decided within COMMIT_TIMEOUT_S; it may still take place.
        """
        if await self.until(lambda: self.leader or None, NO_LEADER_S) is None:
            raise self._not_primary()
        transaction = Transaction(
            id=id or self.new_id(),
            who=who,
            why=why,
            require=tuple(require),
            retract=tuple(retract),
            assert_=tuple(assert_),
        )
        future = self._deciding.get(transaction.id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            self._deciding[transaction.id] = future
            self._carry_out(self._replica.submit(transaction, time.time()))
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                return await asyncio.shield(future)  # who asked for the same waits for it too
        except TimeoutError:
            raise TimedOut(
                f"the change {why!r} was not decided within {COMMIT_TIMEOUT_S:g} s:"
                " is a node stuck? see `zactor status`"
            ) from None
        finally:
            self._deciding.pop(transaction.id, None)

    def _not_primary(self) -> NotPrimary:
        named = theoryview.nodes(self.theory)
        seen = [name for name in named if name in self._live]
        missing = [name for name in named if name not in self._live]
        return NotPrimary(
            f"{self._me} sees {len(seen)} of the {len(named)} nodes that its knowledge base names"
            f" ({', '.join(seen)}; not {', '.join(missing)}): no change is taken here until half of"
            " them are there"
        )

    async def until(self, look: Callable[[], T | None], timeout_s: float | None) -> T | None:
        """Return what `look` finds as soon as it finds something; None when the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                while (found := look()) is None:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return None
        return found

    def history(self) -> list[dict[str, object]]:
        """Return the last changes, oldest first, as plain data."""
        return [
            {
                "clock": [change.epoch, change.index],
                "who": change.who,
                "why": change.why,
                "at": change.at,
                "asserted": list(change.asserted),
                "retracted": list(change.retracted),
            }
            for change in self._replica.changes()
        ]

    def receive(self, sender: str, message: KbMessage) -> None:
        """A replica's message came from `sender`."""
        try:
            self._carry_out(self._replica.receive(sender, message, time.time()))
        except RemoteProtocolError as error:
            log.warning("kb_message_refused", peer=sender, why=str(error))

    def members(self, members: Mapping[str, tuple[str, int]]) -> None:
        """These nodes are alive: name to (role, incarnation), this one included."""
        self._live = set(members)
        self._carry_out(self._replica.members(members, time.time()))

    def ready(self) -> None:
        """Discovery is over: whoever should lead may lead."""
        self._carry_out(self._replica.ready(time.time()))

    def tick(self, now_ms: int) -> None:
        """Let time pass."""
        self._carry_out(self._replica.tick(now_ms, time.time()))

    def _carry_out(self, todo: Sequence[effects.Effect]) -> None:
        """Do what the machine says, in its order: what isn't on disk is told to nobody."""
        for effect in todo:
            try:
                self._persist(effect)
            except (ZactorError, OSError, sqlite3.Error) as error:
                self._on_broken(f"the knowledge base can't be written: {error}")
                return
            self._tell(effect)

    def _persist(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Applied(change=change):
                self._store.append((change,))
            case effects.Replaced():
                self._store.replace(effect)
            case effects.Promised(epoch=epoch):
                self._store.promise(epoch)

    def _tell(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(to=to, message=message):
                self._send(to, message)
            case effects.Applied(change=change):
                self._on_change(change.retracted, change.asserted)
                self._note_change()
            case effects.Replaced():
                self._on_reset()
                self._note_change()
            case effects.Decided():
                self._decide(effect)
            case effects.Led(leader=leader):
                self.leader = leader
                log.info("kb_leader", leader=leader, clock=str(self.clock))
                self._changed.set()
                self._on_leader(leader)
            case effects.Trace(event=event, fields=fields):
                log.debug(event, **dict(fields))

    def _note_change(self) -> None:
        self._changed_at = time.monotonic()
        self._changed.set()

    def _decide(self, decided: effects.Decided) -> None:
        future = self._deciding.get(decided.id)
        if future is None or future.done():
            return
        if decided.kind:
            future.set_exception(from_wire(decided.kind, decided.message, {}))
        else:
            future.set_result(decided.clock)
