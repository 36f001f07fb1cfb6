"""The invariants of the knowledge base, asked at every step of a run.

`Judge` is told what the replicas said and did; it knows of them nothing but values. Each complaint
stands under the name of an invariant, once for one cause.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from zactor.testing.replica_sim.mirror import Mirror
from zactor.testing.replica_sim.seen import NOTHING, Asked, Formed, Made, Node, Place

_KEPT = 20  # complaints under one invariant: one wrong step has many consequences
INVARIANTS = (
    "K1 one history",
    "K2 nothing acknowledged is lost",
    "K2 once",
    "K3 one primary",
    "K4 newest wins",
    "K5 minority refuses",
    "K5 refused is refused",
    "K6 linearisable",
    "K6 seen everywhere",
    "K7 durable",
    "K8 a failed disk",
    "K9 watchers",
    "K10 forks are loud",
    "K10 nothing applied is undone",
    "K11 an epoch names one attempt",
    "P8 histories never mix",
    "nobody breaks",
    "convergence",
    "liveness",
)


class Judge:
    """Everything that was seen of a run, and what was wrong with it."""

    def __init__(self, names: Collection[str]) -> None:
        self.found: dict[str, list[str]] = {}
        self.tell: Callable[[str], None] | None = None
        self.nodes = {name: Node(name) for name in names}
        self.made: dict[bytes, Made] = {}
        self.chain: list[bytes] = [NOTHING]  # the history, as it was applied first
        self.at: dict[bytes, int] = {NOTHING: 0}
        self.asked: dict[str, Asked] = {}
        self.formed: dict[tuple[str, int], Formed] = {}  # by founding and epoch
        self._known: dict[tuple[str, int], Formed] = {}  # formed, as anybody has written
        self._agreed: dict[tuple[str, int, tuple[str, ...]], set[str]] = {}  # on whose disk it is
        self._recorded: dict[tuple[str, int], set[str]] = {}  # who has an attempt on its disk
        self.ordered: dict[tuple[str, int], str] = {}  # the view an epoch orders in
        self.blank: set[tuple[str, int, str]] = set()  # who agreed without what it had known
        self.had: dict[str, set[str]] = {}  # id -> on whose disks it ever was
        self.refused: dict[str, str] = {}
        self.by_id: dict[str, bytes] = {}
        self.forgotten: dict[str, int] = {}  # gone for good, as an operator said; up to an epoch
        self._told = 0  # how much of the history clients were told of

    def complain(self, invariant: str, words: str) -> None:
        """An invariant is broken."""
        lines = self.found.setdefault(invariant, [])
        if words not in lines and len(lines) < _KEPT:
            lines.append(words)
            if self.tell is not None:
                self.tell(f"!!! {invariant}: {words}")

    def clock(self, digest: bytes) -> Place:
        """Return the place of the last change of a history."""
        return self.made[digest].clock if digest in self.made else (0, 0)

    def _past(self, digest: bytes) -> Iterator[Made]:
        """Yield a history's changes, newest first."""
        while digest in self.made:
            yield self.made[digest]
            digest = self.made[digest].parent

    def _lies_before(self, old: bytes, new: bytes) -> bool:
        if old in self.at and new in self.at:
            return self.at[old] <= self.at[new]
        return old in (NOTHING, new) or any(one.digest == old for one in self._past(new))

    # -- processes and disks -----------------------------------------------------------------
    def started(self, name: str, digest: bytes) -> None:
        """A process began with what is on its disk."""
        node = self.nodes[name]
        node.is_up, node.inside, node.has_failed = True, 0, False
        node.memory, node.digest = node.disk.copy(), digest
        if digest != NOTHING and digest not in self.made:
            self.complain("K1 one history", f"{name} starts with what nobody applied")

    def ended(self, name: str) -> None:
        """A process is gone."""
        self.nodes[name].is_up, self.nodes[name].inside = False, 0

    def wrote(self, name: str, founding: str, view: str, put: tuple[Any, ...]) -> None:
        """A node hands a write to its disk."""
        node = self.nodes[name]
        node.memory.fold(put)
        for record in put:
            if type(record).__name__ in ("PutAttempt", "PutPrimary"):
                if node.is_blank:
                    self.blank.add((record.primary.founding, record.primary.epoch, name))
                node.is_blank = False
                self._note(name, record.primary, view, type(record).__name__ == "PutPrimary")
        if len(put) == 1 and type(put[0]).__name__ == "PutEntries":
            for entry in put[0].entries:
                self._orders(founding, entry.epoch, view, name)

    def _note(self, name: str, primary: Any, view: str, is_formed: bool) -> None:
        """A primary was formed also where none of its members lived to be in it."""
        key = (primary.founding, primary.epoch)
        if is_formed:
            voices = tuple(sorted(self._recorded.get(key, ())))
            new = Formed(primary.epoch, primary.members, primary.decider, voices, view)
            self._known.setdefault(key, new)
        else:
            self._recorded.setdefault(key, set()).add(name)

    def _orders(self, founding: str, epoch: int, view: str, name: str) -> None:
        before = self.ordered.setdefault((founding, epoch), view)
        if before != view:
            self.complain(
                "K11 an epoch names one attempt",
                f"{name} uses epoch {epoch} in view {view}; it was used in view {before}",
            )

    def synced(self, name: str, put: tuple[Any, ...]) -> None:
        """A write is on disk."""
        disk = self.nodes[name].disk
        disk.fold(put)
        for record in put:
            if type(record).__name__ == "PutAttempt":
                primary = record.primary
                key = (primary.founding, primary.epoch, primary.members)
                self._agreed.setdefault(key, set()).add(name)
        for id_ in _ids(put):
            self.had.setdefault(id_, set()).add(name)

    def disk_is(self, name: str, writes: Collection[tuple[Any, ...]], *, is_lost: bool) -> None:
        """A stopped node's disk was replaced by an older copy of it, or by a new one (`is_lost`).

        What is on no disk any more is nobody's fault: it is struck from the history.
        """
        node = self.nodes[name]
        node.disk = Mirror()
        for put in writes:
            node.disk.fold(put)
        node.is_blank = node.is_blank or is_lost
        first = len(self.chain)
        while first > 1 and self._is_gone(self.made[self.chain[first - 1]]):
            first -= 1
        for digest in self.chain[first:]:
            one = self.made.pop(digest)
            self.at.pop(digest)
            self.by_id.pop(one.id, None)
        del self.chain[first:]
        self._told = min(self._told, len(self.chain) - 1)
        for asked in self.asked.values():
            asked.floor = min(asked.floor, self._told)

    def forgets(self, name: str, *, is_up: bool) -> None:
        """An operator says that a node is gone for good. With it goes what only it had."""
        last = max((epoch for _, epoch in self._known | self.formed), default=0)
        for one in (name, *(one.name for one in self.nodes.values() if one.is_blank)):
            self.forgotten.setdefault(one, last)  # later words change nothing
        if not is_up:
            self.disk_is(name, (), is_lost=True)

    def _is_gone(self, made: Made) -> bool:
        """Whether it is on no disk, or only who is forgotten has decided and applied it."""
        members = {
            name
            for (_, epoch), formed in self.formed.items()
            for name in formed.members
            if epoch == made.epoch
        }
        left = [node.digest for name, node in self.nodes.items() if name not in self.forgotten]
        if 2 * len(members & self.forgotten.keys()) > len(members):
            return not any(self._lies_before(made.digest, digest) for digest in left)
        return not self._is_anywhere(made.id)

    def _is_anywhere(self, id_: str) -> bool:
        return any(
            node.disk.has(id_) or (node.is_up and node.memory.has(id_))
            for node in self.nodes.values()
        )

    def failed(self, name: str) -> None:
        """A node was told that its disk has failed."""
        self.nodes[name].has_failed = True

    def broke(self, name: str, why: str) -> None:
        """A node stops: it contradicts the others, or can't keep its word."""
        if not self.nodes[name].has_failed:
            self.complain("nobody breaks", f"{name}: {why}")

    def _goes_on(self, name: str, what: str) -> None:
        if self.nodes[name].has_failed:
            self.complain("K8 a failed disk", f"{name} {what} though its disk has failed")

    # -- the history -------------------------------------------------------------------------
    def applied(self, name: str, founding: str, change: Any, epoch: int) -> None:
        """A node of the cluster `founding` shows a change.

        Args:
            epoch: of the primary that works there, 0 if none does.
        """
        node = self.nodes[name]
        self._goes_on(name, "applies a change")
        clock, before = (change.epoch, change.index), node.digest
        follows = self._follows(name, clock, self.clock(before))
        node.digest = change.digest
        known = self.made.get(change.digest)
        if known is not None:
            known.epoch = min(known.epoch or epoch, epoch or known.epoch)
            known.founding = known.founding or founding
            if follows and known.parent != before:
                self.complain("K9 watchers", f"{name} shows {clock} after another history")
            return
        if not follows:
            before = self.chain[-1]  # what came between was hidden: it isn't known
        made = Made(change.id, clock, change.digest, before, epoch, name, founding)
        if change.id and self.by_id.setdefault(change.id, change.digest) != change.digest:
            other = self.made[self.by_id[change.id]]
            if self._lies_before(other.digest, before):
                self.complain("K2 once", f"{change.id} took place at {other.clock} and {clock}")
        if change.id in self.refused and self.asked[change.id].times == 1:
            words = f"{change.id} was refused as {self.refused[change.id]}, and took place"
            self.complain("K5 refused is refused", words)
        self._grow(made)

    def _follows(self, name: str, clock: Place, before: Place) -> bool:
        wanted = before[1] + 1 if clock[0] == before[0] else 1
        if clock < before or clock[1] != wanted:
            self.complain("K9 watchers", f"{name} shows {clock} after {before}")
            return False
        return True

    def _grow(self, made: Made) -> None:
        place = self.at.get(made.parent)
        self.made[made.digest] = made
        if place is None:
            return  # a fork goes on; it was told of when it began
        if place + 1 == len(self.chain):
            self.at[made.digest] = place + 1
            self.chain.append(made.digest)
            return
        other = self.made[self.chain[place + 1]]
        self.complain(
            "K1 one history",
            f"{made.who} applies {made.id} at {made.clock} after {self.clock(made.parent)},"
            f" where {other.who} applied {other.id} at {other.clock}",
        )

    def replaced(self, name: str, clock: Place, digest: bytes) -> None:
        """A node took over the whole from another."""
        node = self.nodes[name]
        self._goes_on(name, "takes over a history")
        if digest != NOTHING and digest not in self.made:
            self.complain("K1 one history", f"{name} takes over what nobody applied: {clock}")
        elif not self._lies_before(node.digest, digest):
            if self._lies_before(digest, node.digest):
                self.complain(
                    "K10 nothing applied is undone",
                    f"{name} goes back from {self.clock(node.digest)} to {clock}",
                )
            else:
                self.complain(
                    "K10 forks are loud",
                    f"{name} had applied up to {self.clock(node.digest)} of another history,"
                    f" and takes over {clock} without a word",
                )
        node.digest = digest

    # -- primaries ---------------------------------------------------------------------------
    def became_primary(self, name: str, founding: str, new: Formed) -> None:
        """A node is in a primary."""
        node = self.nodes[name]
        self._goes_on(name, "is in a primary")
        node.inside = new.epoch
        self._orders(founding, new.epoch, new.view, name)
        before = self.formed.setdefault((founding, new.epoch), new)
        if before is new:
            self._check_majorities(founding, new)
            self._check_voices(founding, new)
            mine = self.made.get(node.digest)
            if mine is not None and mine.founding not in ("", founding):
                words = f"{name} founds {founding} with the history of {mine.founding}"
                self.complain("P8 histories never mix", words)
        elif before.members != new.members:
            self.complain("K3 one primary", f"epoch {new.epoch} has two primaries")
        self._check_history(node, founding, new.epoch)

    def _check_voices(self, founding: str, new: Formed) -> None:
        agreed = self._agreed.get((founding, new.epoch, new.members), set())
        if missing := sorted({*new.voices} - agreed):
            words = f"epoch {new.epoch} is formed, and isn't on the disks of {', '.join(missing)}"
            self.complain("K3 one primary", words)

    def left_primary(self, name: str) -> None:
        """A node is in no primary any more."""
        self.nodes[name].inside = 0

    def _check_majorities(self, founding: str, new: Formed) -> None:
        formed = self._known | self.formed
        epochs = sorted(epoch for known, epoch in formed if known == founding)
        place = epochs.index(new.epoch)
        for pair in (epochs[max(0, place - 1) : place + 1], epochs[place : place + 2]):
            if len(pair) == 2:
                old, next_ = formed[founding, pair[0]], formed[founding, pair[1]]
                blank = {
                    name for name in next_.voices if (founding, next_.epoch, name) in self.blank
                }
                voices = [name for name in next_.voices if name not in blank]
                gone = [name for name, last in self.forgotten.items() if last >= old.epoch]
                if not old.decided_by(voices, gone):
                    lost = f" ({', '.join(sorted(blank))} with a new disk)" if blank else ""
                    self.complain(
                        "K3 one primary",
                        f"{', '.join(next_.voices)}{lost} form epoch {next_.epoch} with no"
                        f" majority of {', '.join(old.members)}, epoch {old.epoch}",
                    )

    def _check_history(self, node: Node, founding: str, epoch: int) -> None:
        """What an earlier primary decided is in the log of every later one."""
        there = self.at.get(node.digest)
        if there is None:
            there = max((self.at.get(one.parent, 0) for one in self._past(node.digest)), default=0)
        for digest in self.chain[there + 1 :]:
            one = self.made[digest]
            is_ours = one.founding in ("", founding) and 0 < one.epoch < epoch
            if is_ours and not node.memory.has(one.id):
                words = f"epoch {epoch} begins at {node.name} without {one.id} at {one.clock}"
                self.complain("K4 newest wins", f"{words}, which {one.who} has applied")
                if one.is_acknowledged:
                    self.complain(
                        "K2 nothing acknowledged is lost", f"{words}, which is acknowledged"
                    )

    # -- clients -----------------------------------------------------------------------------
    def asks(self, name: str, id_: str, *, is_read: bool) -> None:
        """A client asks for a change, or for a read."""
        if id_ in self.asked:
            self.asked[id_].times += 1
        else:
            self.asked[id_] = Asked(id_, name, is_read, self._told)

    def decided(self, name: str, id_: str, clock: Place, kind: str, members: Any) -> None:
        """A client is told how it ended. `members`: of the primary it was decided in."""
        asked, node = self.asked.get(id_), self.nodes[name]
        if asked is None:
            return
        asked.ended = kind
        if kind:
            if kind == "NotPrimary" and not asked.is_read:
                self.refused[id_] = kind
                if id_ in self.by_id and asked.times == 1:
                    words = f"{id_} took place, and is refused as {kind}"
                    self.complain("K5 refused is refused", words)
            return
        self._goes_on(name, "answers")
        digest = next((one.digest for one in self._past(node.digest) if one.clock == clock), None)
        if digest is None and clock != (0, 0):
            words = f"{id_} is acknowledged at {clock}, which {name} hasn't applied"
            self.complain("K2 nothing acknowledged is lost", words)
            return
        self._check_order(asked, digest or NOTHING)
        if not asked.is_read and digest is not None:
            self._acknowledged(asked, node, self.made[digest], members)

    def _check_order(self, asked: Asked, digest: bytes) -> None:
        place = self.at.get(digest)
        if place is None:
            return  # of a fork
        if place < asked.floor or (place == asked.floor and self._is_new(asked)):
            what = f"{asked.id} at {self.clock(digest)}"
            seen = self.clock(self.chain[asked.floor])
            self.complain("K6 linearisable", f"{what} began after {seen} had been seen")
        self._told = max(self._told, place)

    def _is_new(self, asked: Asked) -> bool:
        return not asked.is_read and asked.times == 1

    def _acknowledged(self, asked: Asked, node: Node, made: Made, members: Any) -> None:
        made.is_acknowledged = True
        if made.id != asked.id:
            words = f"{asked.id} was acknowledged at {made.clock}, which is {made.id}"
            self.complain("K2 nothing acknowledged is lost", words)
        for other in self.nodes.values():
            behind = other.inside == node.inside and self.clock(other.digest) < made.clock
            if node.inside and other.is_up and behind:
                words = f"{asked.id} is acknowledged by {node.name}, {other.name} hasn't applied it"
                self.complain("K6 seen everywhere", words)
        # Who is asked again answers from what it knows, and may not know that primary.
        for (_, epoch), formed in self.formed.items():
            members = formed.members if epoch == made.epoch else members
        disks = self.had.get(asked.id, set()) & set(members)
        if members and 2 * len(disks) <= len(members):
            self.complain(
                "K7 durable",
                f"{asked.id} is acknowledged; of {', '.join(members)} only"
                f" {', '.join(sorted(disks)) or 'nobody'} had it on disk",
            )

    def waited(self, name: str, ids: Collection[str]) -> None:
        """A node outside the primary has had more time than it may take to refuse these."""
        for id_ in ids:
            self.complain("K5 minority refuses", f"{id_} waits at {name}, outside the primary")

    # -- the end -----------------------------------------------------------------------------
    def at_end(self, facts: Mapping[str, tuple[bytes, tuple[str, ...]]], is_live: bool) -> None:
        """Everybody is back and had time. `facts`: by name, with the digest.

        Args:
            is_live: changes are taken again; what was acknowledged must be there then.
        """
        first = next(iter(facts), "")
        for name, (digest, texts) in facts.items():
            if is_live and (digest, texts) != facts[first]:
                ends = f"{self.clock(digest)}, {first} at {self.clock(facts[first][0])}"
                self.complain("convergence", f"{name} ends at {ends}")
            if not is_live:
                continue
            past = {one.digest for one in self._past(digest)}
            for one in self.made.values():
                if one.is_acknowledged and one.digest not in past:
                    words = f"{name} lacks {one.id}, acknowledged at {one.clock}"
                    self.complain("K2 nothing acknowledged is lost", words)


def _ids(put: tuple[Any, ...]) -> Iterator[str]:
    """Yield the transactions of a write."""
    for record in put:
        kind = type(record).__name__
        if kind == "PutEntries":
            yield from (entry.transaction.id for entry in record.entries)
        elif kind == "PutApplied":
            yield from (change.id for change in record.changes)
        elif kind == "PutSnapshot":
            yield from (id_ for id_, _, _ in record.ids)
