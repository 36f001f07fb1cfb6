"""The theory: a set of ground facts, each with its place in the history, its author and its cause.

Facts are told apart by their printed form. The rule a reader must not break: whatever is decided
here depends on the facts alone, never on the order in which they came, so every node decides alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError, Refused, TermError, from_wire
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.query import RESERVED, Search
from zactor.kernel.knowledge.reader import parse_goal, parse_term
from zactor.kernel.knowledge.unification import Bindings, substitute
from zactor.kernel.knowledge.values import Atom, Compound, Term, is_ground
from zactor.kernel.knowledge.writer import format_term
from zactor.kernel.messages.knowledge import Change, Transaction

FactRow = tuple[str, int, int, str, str, float]
"""A fact as it travels and is stored: text, epoch, index, who, why, at."""


class Fact(msgspec.Struct, frozen=True, gc=False):
    """One fact and where it comes from."""

    text: str  # the canonical form
    term: Atom | Compound
    clock: Clock  # of the change that asserted it
    who: str
    why: str
    at: float  # s since 1970, for people only

    def row(self) -> FactRow:
        """Return the fact as it travels."""
        return (self.text, *self.clock, self.who, self.why, self.at)


class Prepared(msgspec.Struct, frozen=True):
    """What exactly a transaction would change, in canonical form, sorted."""

    retracted: tuple[str, ...]
    asserted: tuple[str, ...]


class TheoryWatcher(Protocol):
    """Who hears of each fact that comes into a theory or goes out of it."""

    def came(self, fact: Fact) -> None:
        """It is there now."""

    def went(self, fact: Fact) -> None:
        """It isn't there any more."""


class Theory:
    """Facts by functor and arity, and by each of their arguments.

    Threads: one at a time.
    """

    def __init__(self, facts: Iterable[FactRow] = ()) -> None:
        """Begin with `facts`.

        Raises:
            TermError: one of them is no ground fact.
        """
        self._facts: dict[str, Fact] = {}
        self._by_kind: dict[tuple[str, int], dict[str, Fact]] = {}
        self._by_argument: dict[tuple[str, int, int, str | Atom], dict[str, Fact]] = {}
        self._watchers: list[TheoryWatcher] = []
        self.load(facts)

    def watch(self, watcher: TheoryWatcher) -> None:
        """Tell `watcher` of changes until `unwatch`."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: TheoryWatcher) -> None:
        """Tell it no more."""
        self._watchers.remove(watcher)

    def add(self, fact: Fact) -> None:
        """Add a fact as it is, in the place of one with the same text."""
        self._remove(fact.text)
        self._facts[fact.text] = fact
        for table, key in self._places(fact.term):
            table.setdefault(key, {})[fact.text] = fact
        for watcher in self._watchers:
            watcher.came(fact)

    def load(self, facts: Iterable[FactRow]) -> None:
        """Add stored facts with the origin they have.

        Raises:
            TermError: one of them is no ground fact; those before it are in.
        """
        for text, epoch, index, who, why, at in facts:
            term = ground_fact(parse_term(text))
            self.add(Fact(format_term(term), term, Clock(epoch, index), who, why, at))

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, text: str) -> bool:
        return text in self._facts

    def __iter__(self) -> Iterator[Fact]:
        """All facts, sorted by their text."""
        return iter([self._facts[text] for text in sorted(self._facts)])

    def texts(self) -> list[str]:
        """Return the text of every fact, sorted."""
        return sorted(self._facts)

    def rows(self) -> list[FactRow]:
        """Return every fact as it travels, sorted."""
        return [fact.row() for fact in self]

    def snapshot(self) -> tuple[Fact, ...]:
        """Return all facts in no particular order; it takes 1 ms for 100,000."""
        return tuple(self._facts.values())

    def get(self, text: str) -> Fact | None:
        """Return the fact whose canonical text is `text`."""
        return self._facts.get(text)

    def facts(self, functor: str, arity: int, *bound: Term | None) -> list[Fact]:
        """Return the facts functor/arity whose leading arguments are `bound`, sorted by text.

        Args:
            bound: ground terms, None for any; a bare `str` stands for the atom *or* the string.
        """
        choices: list[list[tuple[int, str | Atom]]] = []
        for position, wanted in enumerate(bound):
            if wanted is not None:
                choices.append([(position, key) for key in _loose_keys(wanted)])
        found = self._smallest(functor, arity, [])
        for keys in choices:
            one = self._bucket(functor, arity, keys)
            if len(one) < len(found):
                found = one
        return [
            found[text]
            for text in sorted(found)
            if all(self._has(found[text].term, keys) for keys in choices)
        ]

    def candidates(
        self, functor: str, arity: int, keys: list[tuple[int, str | Atom]]
    ) -> Collection[Fact]:
        """Return the smallest indexed set that holds every fact with the arguments `keys`.

        It changes with the theory: use it at once.
        """
        return self._smallest(functor, arity, keys).values()

    def _smallest(
        self, functor: str, arity: int, keys: list[tuple[int, str | Atom]]
    ) -> dict[str, Fact]:
        best = self._by_kind.get((functor, arity), {})
        for position, key in keys:
            one = self._by_argument.get((functor, arity, position, key), {})
            if len(one) < len(best):
                best = one
        return best

    def prepare(self, transaction: Transaction) -> Prepared:
        """Return what `transaction` would change now; nothing is changed.

        The goals in `require` are one conjunction; its first solution, facts tried in the order of
        their text, binds the variables of `retract` and `assert_`. A fact that is already there is
        not asserted again, unless the same transaction retracts it.

        Raises:
            TermError: something in it is no term, or an asserted fact isn't ground.
            Refused: the change is longer than a frame holds, or too many facts were looked at.
            ZactorError: of the class and with the words of the first requirement that fails.
        """
        search = Search(self)
        bindings = _require(search, transaction.require)
        retracted: set[str] = set()
        for pattern in transaction.retract:
            head = substitute(parse_term(pattern), bindings)
            retracted.update(search.matching(head))
        asserted: set[str] = set()
        for text in transaction.assert_:
            fact = format_term(ground_fact(substitute(parse_term(text), bindings)))
            if fact not in self._facts or fact in retracted:
                asserted.add(fact)
        size = text_bytes(retracted) + text_bytes(asserted)
        if size > limits.CHANGE_BYTES_MAX:
            raise Refused(
                f"{transaction.id} changes {len(retracted) + len(asserted)} facts of {size} bytes:"
                f" at most {limits.CHANGE_BYTES_MAX}, make it in several steps"
            )
        return Prepared(tuple(sorted(retracted)), tuple(sorted(asserted)))

    def apply(self, change: Change) -> None:
        """Make `change`: all of it, or nothing if it can't be made.

        Raises:
            TermError: it asserts what is no ground fact in canonical form.
            LocalProtocolError: it retracts a fact that isn't there.
        """
        clock = Clock(change.epoch, change.index)
        facts = []
        for text in change.asserted:
            term = ground_fact(parse_term(text))
            if format_term(term) != text:
                raise TermError(f"{text!r} is not in canonical form: want {format_term(term)!r}")
            facts.append(Fact(text, term, clock, change.who, change.why, change.at))
        for text in change.retracted:
            if text not in self._facts:
                raise LocalProtocolError(
                    f"the change at {clock} retracts {text}, which isn't there"
                )
        for text in change.retracted:
            self._remove(text)
        for fact in facts:
            self.add(fact)

    # -- inside ------------------------------------------------------------------------------
    def _bucket(
        self, functor: str, arity: int, keys: list[tuple[int, str | Atom]]
    ) -> dict[str, Fact]:
        sets = [self._by_argument.get((functor, arity, *key), {}) for key in keys]
        return sets[0] if len(sets) == 1 else {**sets[0], **sets[1]}

    @staticmethod
    def _has(term: Atom | Compound, keys: list[tuple[int, str | Atom]]) -> bool:
        return isinstance(term, Compound) and any(
            index_key(term.args[position]) == key for position, key in keys
        )

    def _remove(self, text: str) -> None:
        fact = self._facts.pop(text, None)
        if fact is None:
            return
        for table, key in self._places(fact.term):
            bucket = table[key]
            del bucket[text]
            if not bucket:
                del table[key]
        for watcher in self._watchers:
            watcher.went(fact)

    def _places(self, term: Atom | Compound) -> Iterator[tuple[dict, tuple]]:  # type: ignore[type-arg]
        if isinstance(term, Atom):
            yield self._by_kind, (term.name, 0)
            return
        arity = len(term.args)
        yield self._by_kind, (term.functor, arity)
        for position, argument in enumerate(term.args):
            yield self._by_argument, (term.functor, arity, position, index_key(argument))


def index_key(argument: Term) -> str | Atom:
    """Return what stands for a ground argument in the index: unlike terms have unlike keys."""
    return argument if isinstance(argument, Atom) else format_term(argument)


def text_bytes(texts: Iterable[str]) -> int:
    """Return how many bytes `texts` have on the wire."""
    return sum([len(text) if text.isascii() else len(text.encode()) for text in texts])


def ground_fact(term: Term) -> Atom | Compound:
    """Return `term` if it may be a fact.

    Raises:
        TermError: it is a number, a string, a list, a goal's connective, or it has variables.
    """
    if not isinstance(term, Atom | Compound):
        raise TermError(f"{format_term(term)} is no fact: want a name, or a name with arguments")
    name = term.name if isinstance(term, Atom) else term.functor
    if name in RESERVED:
        raise TermError(f"{format_term(term)} is no fact: {name!r} is a word of goals")
    if not is_ground(term):
        raise TermError(f"{format_term(term)} is no fact: it has variables")
    return term


def _loose_keys(wanted: Term) -> list[str | Atom]:
    if isinstance(wanted, str):
        return [Atom(wanted), index_key(wanted)]
    return [index_key(wanted)]


def _require(search: Search, requirements: tuple[tuple[str, str, str], ...]) -> Bindings:
    bindings, failed = search.first([parse_goal(goal) for goal, _, _ in requirements])
    if bindings is not None:
        return bindings
    goal, kind, words = requirements[failed]
    raise from_wire(kind or Refused.__name__, words or f"it does not hold that {goal}", {})
