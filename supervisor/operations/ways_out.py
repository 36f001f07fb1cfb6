"""What an operator may say where the machines may not go on: `zactor forget` and `zactor recover`.

Each first tells what may be lost, and changes nothing, unless the operator says that he knows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from zactor.kernel import limits
from zactor.kernel.errors import MayLose, NoSuchThing, NotPrimary, Refused, ZactorError
from zactor.kernel.ids import check_name
from zactor.kernel.knowledge.writer import quote_atom
from zactor.kernel.messages.operations import ForgetNode, RecoverPrimary
from zactor.kernel.replication.losses import Losses
from zactor.supervisor.kb import facts, orders, policies, wishes
from zactor.supervisor.kb.fact_patterns import down_patterns, wanted_patterns
from zactor.supervisor.kb.knowledge_base import NO_PRIMARY_S, KnowledgeBase

SWEPT_S = 2.0  # in which a dead node's facts are taken out once there is a primary


class WaysOut:
    """Carries out an operator's words at one node. Kernel's loop only."""

    def __init__(self, me: str, kb: KnowledgeBase, connected: Callable[[], Sequence[str]]) -> None:
        """`connected` returns the names of the nodes that this one has a link to."""
        self._me = me
        self._kb = kb
        self._connected = connected

    async def _losses(self) -> Losses | None:
        """Return what is missing for a primary here, None if there is one."""

        def where() -> tuple[Losses | None] | None:
            losses = self._kb.losses()
            return (None,) if self._kb.primary else (losses,) if losses is not None else None

        found = await self._kb.until(where, NO_PRIMARY_S)
        if found is None:
            raise NotPrimary(f"{self._kb.why_not()}: ask again")
        (losses,) = found
        if losses is not None and not losses.founding:
            raise Refused(f"{self._me} belongs to no cluster yet, so nothing of one is missing")
        return losses

    async def forget(self, op: ForgetNode, who: str) -> object:
        """Take the vote of a member that is gone for good; or forget what was ordered and is lost.

        Returns {"node", "primary", "waits", "forgot"}: the last names the lost actors that aren't
        wanted any more, of a node that is missed no more, or one by its name; None if nothing of
        that name was.

        Raises:
            Refused: it is up, or an actor that is there.
            NoSuchThing: nothing waits for it.
            MayLose: it may have known what nobody here does; says so.
        """
        name = check_name("node", op.node)
        losses = await self._losses()
        if losses is None and (forgot := await self._forget_orders(name, who)) is not None:
            return self._forgotten(name, forgot)
        if losses is None and (actor := facts.actor(self._kb.theory, name)) is not None:
            raise Refused(f"{name} is there, on {actor.node}: `zactor destroy {name}` ends it")
        is_blank = losses is not None and name in losses.here and name not in losses.voters
        if (name == self._me or name in self._connected()) and not is_blank:
            raise Refused(f"{name} is up, as {self._me} sees it: only who is gone can be forgotten")
        if losses is None:
            return self._forgotten(name)  # it is no member, and nothing waits for it
        if name not in losses.missing:
            waits = ", ".join(losses.missing) or "nobody"
            raise NoSuchThing(f"{self._me} doesn't wait for {name}, but for {waits}")
        if losses.may_lose and not op.i_know:
            raise MayLose(
                f"{name} may have gone on with others, and know what nobody here does:"
                f" {self._known(losses)}; if it is gone for good, with its disk:"
                f" `zactor forget {name} --i-know`"
            )
        await self._kb.forget(name)
        await self._miss_no_more(name, who)
        return self._forgotten(name)

    async def _miss_no_more(self, name: str, who: str) -> None:
        """Whose vote was taken isn't missed as a node; its actors may be restored elsewhere."""
        kb = self._kb

        def swept() -> bool | None:
            return None if name in facts.nodes(kb.theory) else True

        if bool(kb.primary) and await kb.until(swept, SWEPT_S):
            with contextlib.suppress(ZactorError):  # the word counts, status may speak of it still
                gone = f"gone({quote_atom(name)}, _, _)"
                await kb.commit(f"forget({name})", who=who, retract=(gone,))

    async def _forget_orders(self, name: str, who: str) -> list[str] | None:
        """Forget a gone node with what was lost with it, or one lost actor; None: there is none."""
        node, forgot = quote_atom(name), []
        if name in wishes.names(self._kb.theory):
            return await self._forget_wish(name, who)
        one = orders.lost(self._kb.theory, name)
        is_gone = any(row.name == name for row in orders.gone(self._kb.theory))
        rows = orders.all_lost(self._kb.theory, name) + ([one] if one is not None else [])
        if not rows and not is_gone:
            return None
        for first in range(0, max(len(rows), 1), limits.SWEPT_AT_ONCE):
            batch = rows[first : first + limits.SWEPT_AT_ONCE]
            retract = [f"gone({node}, _, _)", f"drained({node})", f"label({node}, _, _)"]
            for row in batch:
                retract += [
                    *orders.lost_patterns(row.name),
                    *wanted_patterns(row.name),
                    *down_patterns(row.name),
                ]
            await self._kb.commit(
                f"forget({name})",
                who=who,
                require=tuple(map(orders.still_lost, batch)),
                retract=tuple(retract),
            )
            forgot += [row.name for row in batch]
        return sorted(forgot)

    async def _forget_wish(self, name: str, who: str) -> list[str]:
        """Keep what a file wants no more; what it made stays."""
        theory = self._kb.theory
        things = [thing for owner, thing in wishes.marks(theory) if owner == name]
        wish = wishes.wish(theory, name)
        actors = [each.name for each in wish.actors] if wish is not None else []
        made = [actor for actor in actors if wishes.actor_mark(actor) in things]
        await self._kb.commit(
            f"forget({name})",
            who=who,
            require=((f"wish({quote_atom(name)}, _, _)", "NoSuchThing", f"{name} isn't kept"),),
            retract=(
                *wishes.wish_patterns(name),
                f"owned({quote_atom(name)}, _)",
                f"each({quote_atom(name)}, _)",
                f"together({quote_atom(name)}, _, _, _, _)",
                *(policies.policy_pattern(actor) for actor in made),
            ),
        )
        return [name]

    def _forgotten(self, name: str, forgot: Sequence[str] | None = None) -> object:
        return {
            "node": name,
            "primary": list(self._kb.primary),
            "waits": self._kb.why_not(),
            "forgot": forgot,
        }

    async def recover(self, op: RecoverPrimary) -> object:
        """Go on with the view that this node is in; {"node", "primary", "missing", "clock"}.

        Raises:
            Refused: there is a primary here, or those who are here can't go on together.
            MayLose: always, unless the operator says that he knows; says what.
        """
        losses = await self._losses()
        if losses is None:
            primary = ", ".join(self._kb.primary)
            raise Refused(f"{self._me} takes changes, with {primary}: there is nothing to recover")
        if losses.forked:
            raise Refused(losses.forked)
        if not op.i_know:
            raise MayLose(
                f"{', '.join(losses.here)} would go on as a cluster of their own, without"
                f" {', '.join(losses.missing) or 'whoever has a vote'}, and what only those know"
                f" is lost: {self._known(losses)}; who was missing can join later only without its"
                f" state folder; `zactor recover {self._me} --i-know` does it"
            )
        await self._kb.recover()
        return {
            "node": self._me,
            "primary": list(self._kb.primary),
            "missing": list(losses.missing),
            "clock": self._kb.clock,
        }

    def _known(self, losses: Losses) -> str:
        """Say how much is known here."""
        last, missing = losses.last, ", ".join(losses.missing)
        words = "no primary is known here"
        if last is not None:
            words = f"the last primary known here is {', '.join(last.members)} (epoch {last.epoch})"
        words += f", missing are {missing or 'all who have a vote'}"
        if not any(losses.clock):
            return f"{words}, no change was made"
        made = [change.at for change in self._kb.history() if change.clock == losses.clock]
        age = f" was made {max(0.0, time.time() - made[0]):.0f} s ago" if made else ""
        return f"{words}, the last change known here, {losses.clock},{age}"
