"""Keeping: lost actors that a file or a person wants kept are placed again, by the acting node.

Pure. Its policy says on which nodes. On another than its own an actor is placed only where two of
its name can't run: its node's life is proved to have ended, or it has been silent for SAFE_AFTER_S.
By then it has noticed, STOPPED_AFTER_S after it was cut off, and has stopped what may run
elsewhere, if it knew that: it has said so of each such actor (`yields`). Of the others silence
proves nothing, whatever a file says since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from zactor.kernel import limits
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts, node_marks, orders, policies, restart_groups, wishes
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.kb.facts import NodeRow
from zactor.supervisor.kb.orders import LostRow
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.membership import regrouping
from zactor.supervisor.membership.departures import Live, Sweep
from zactor.supervisor.membership.members import process_gone, said_goodbye

STOOD_STILL_S = 1.0  # from then on others may have missed it
DETECTED_S = 3.0  # by then a node has noticed who isn't there

IsSafe = Callable[[LostRow], bool]
"""Whether the life that an actor was lost with runs it no more, for certain."""


def next_restoration(theory: Theory, live: Live, is_safe: IsSafe) -> Sweep | None:
    """Return how the next lost actors are placed again; None: none is to be, at present.

    Args:
        live: who is alive now.
    """
    if not theory.candidates("lost", 4, []):
        return None
    return next(_restorations(theory, live, is_safe), None)


def _restorations(theory: Theory, live: Live, is_safe: IsSafe) -> Iterator[Sweep]:
    known = facts.nodes(theory)
    owners = {thing: name for name, thing in wishes.marks(theory)}
    by_reason: dict[str, list[tuple[LostRow, NodeRow]]] = {}
    in_groups = restart_groups.under_way(theory)
    for row in orders.all_lost(theory):
        new = policies.successor(theory, row.name)
        if new is not None and is_safe(row):
            yield _follow(theory, row, new)
            return
        place = None if row.name in in_groups else place_of(theory, row, live, known, is_safe)
        if place is not None:
            together = regrouping.begin(theory, row)
            if together is not None:
                yield together
                return
            owner = owners.get(wishes.actor_mark(row.name))
            why = f"because {owner} wants it" if owner else "because it is to be restarted"
            by_reason.setdefault(why, []).append((row, place))
    for why, placed in sorted(by_reason.items()):
        batch = placed[: limits.SWEPT_AT_ONCE]
        yield _restore(theory, why, batch)


def place_of(
    theory: Theory, row: LostRow, live: Live, known: Mapping[str, NodeRow], is_safe: IsSafe
) -> NodeRow | None:
    """Return the node on which a lost actor is to be now; None: it waits, or isn't kept."""
    policy = policies.policy(theory, row.name)
    if policies.successor(theory, row.name) is not None:
        return None  # that one begins instead
    if policy is None or theory.candidates("actor", 3, [(0, Atom(row.name))]):
        return None
    for name in policy.on:
        node, (incarnation, _) = known.get(name), live.get(name, (0, ""))
        if node is None or node.incarnation != incarnation or node_marks.is_drained(theory, name):
            continue
        if name == row.node and incarnation == row.life:
            return None  # it comes back with that very life: see departures.py
        if name == row.node or is_safe(row):
            return node
    return None


def _follow(theory: Theory, row: LostRow, new: Successor) -> Sweep:
    """Return how the successor begins of an actor that was lost before it had stopped."""
    name = quote_atom(row.name)
    return Sweep(
        why=f"{row.name} is replaced",
        require=(
            orders.still_lost(row),
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{row.name} is another now"),
            (new.fact(), "NoSuchThing", f"{row.name} has another successor"),
        ),
        retract=orders.lost_patterns(row.name),
        assert_=new.begins(policies.policy(theory, row.name)),
    )


def _restore(theory: Theory, why: str, placed: list[tuple[LostRow, NodeRow]]) -> Sweep:
    require: list[Requirement] = []
    retract: list[str] = []
    assert_: list[str] = []
    for row, node in placed:
        name, place = quote_atom(row.name), quote_atom(node.name)
        require += [
            orders.still_lost(row),
            (f"\\+ actor({name}, _, _)", "AlreadyExists", f"{row.name} is another now"),
            (f"incarnation({place}, {node.incarnation})", "NoSuchThing", f"{node.name} went"),
        ]
        retract += orders.lost_patterns(row.name)
        assert_ += Successor(
            name=row.name,
            type=row.type,
            node=node.name,
            bundle=facts.factory(theory, row.type) or row.bundle,
            arguments=row.arguments,
            deployment=f"kept {row.since} {row.name}",  # the same whoever does it, and no other
        ).begins(policies.policy(theory, row.name))
    names = ", ".join(f"{row.name} on {node.name}" for row, node in placed[:5])
    more = f" and {len(placed) - 5} more" if len(placed) > 5 else ""
    return Sweep(
        why=f"{why}: {names}{more}",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )


class Silences:
    """Remembers since when lives of nodes with which actors were lost have been silent.

    For as long as this node acts for the cluster: who begins to act begins to count.
    """

    def __init__(self) -> None:
        """Nobody is silent."""
        self._since: dict[tuple[str, int], float] = {}

    def forget(self) -> None:
        """This node acts no more."""
        self._since.clear()

    def is_safe(self, row: LostRow, live: Live, why: str, now_s: float) -> bool:
        """Return whether the life that an actor was lost with runs it no more.

        Args:
            why: that node isn't there, as it is known now.
        """
        if not row.life:
            return True  # it was lost when it had stopped
        known = live.get(row.node)
        if known is not None:
            return known[0] != row.life  # another life of it is here, so that one has ended
        proofs = _proofs(row.node)
        if row.reason in proofs or why in proofs:
            return True
        if not row.yields:
            return False
        since = self._since.setdefault((row.node, row.life), now_s)
        return now_s - since >= limits.SAFE_AFTER_S

    def left_s(self, lost: Iterable[LostRow], now_s: float) -> float | None:
        """Return in how many s the next silence is long enough; None: none is.

        Args:
            lost: what is lost now: whose life isn't among it came back, and its next silence is
                another.
        """
        lives = {(row.node, row.life) for row in lost}
        self._since = {node: since for node, since in self._since.items() if node in lives}
        ends = [since + limits.SAFE_AFTER_S for since in self._since.values()]
        return min((end - now_s for end in ends if end > now_s), default=None)


def _proofs(node: str) -> tuple[str, ...]:
    """Return the words for an end of a node that is proved."""
    return (
        process_gone(node),
        said_goodbye(node),
        f"{node} was restarted",
        f"{node} was started again",
    )


class Contact:
    """Knows how long a node may have been out of the primary, as it can tell by itself.

    A node that stood still believes what it believed before; only when its failure detector has had
    its time again is that worth anything.
    """

    def __init__(self, now_s: float) -> None:
        """It has just begun."""
        self._sure_at = self._asked_at = now_s
        self._trusted_from = now_s

    def out_s(self, in_primary: bool, now_s: float) -> float:
        """Return for how many s it may be out; asked again and again, every HOUSEKEEPING_MS.

        Args:
            in_primary: as it believes.
        """
        if now_s - self._asked_at >= STOOD_STILL_S:
            self._trusted_from = now_s + DETECTED_S
        self._asked_at = now_s
        if in_primary and now_s >= self._trusted_from:
            self._sure_at = now_s
        return now_s - self._sure_at


def must_stop(out_s: float) -> bool:
    """Whether a node that may have been out for so long ends what may run elsewhere by now."""
    return out_s >= limits.STOPPED_AFTER_S
