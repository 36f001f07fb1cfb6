"""Contract: what can be said to the actors of a class, and whether something is a part of it.

It is made of texts as people write them, so it travels between nodes, and who checks a name or a
payload needs no class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

import msgspec

from zactor.kernel.actors.actor import Actor, actions_of, takes_all
from zactor.kernel.actors.emitted import emitted_by
from zactor.kernel.actors.panel import signals_of
from zactor.kernel.actors.shapes import (
    Shape,
    misfit_of_call,
    misfit_of_wire,
    misspelt,
    shape_of_action,
    shape_of_signal,
)
from zactor.kernel.actors.signatures import (
    UNTOLD,
    action_signatures,
    constructor_signature,
    signal_signatures,
)
from zactor.kernel.errors import NoSuchAction, NoSuchThing, UnfitArguments


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """The contract of a class; what isn't known of it is never refused."""

    class_name: str = ""
    constructor: str = ""  # Counter(start: int = 0)
    actions: list[str] = []  # inc(by: int = 1) -> int
    wrapped: list[str] = []  # names of actions whose wrapper may take something else
    takes_all: bool = False  # it overrides do_action
    signals: list[str] = []  # updateVal(int)
    emits_all: bool = False  # it may emit signals of other names, too

    def check_action(self, who: str, action: str) -> None:
        """Raise NoSuchAction where `who` has no action of that name; says which it has."""
        known = _names(self.actions)
        if not self.takes_all and action not in known:
            raise NoSuchAction(misspelt(f"{who} has no action {action!r}", action, known))

    def check_signal(self, who: str, signal: str) -> None:
        """Raise NoSuchThing where `who` has no signal of that name; says which it has."""
        known = _names(self.signals)
        if not (self.takes_all or self.emits_all) and signal not in known:
            raise NoSuchThing(misspelt(f"{who} has no signal {signal!r}", signal, known))

    def action(self, name: str) -> Shape | None:
        """Return what that action takes, None where nobody can tell."""
        if self.takes_all or name in self.wrapped:
            return None
        return next((shape_of_action(t) for t in self.actions if _name(t) == name), None)

    def signal(self, name: str) -> Shape | None:
        """Return what that signal carries, None where nobody can tell."""
        return next((shape_of_signal(t) for t in self.signals if _name(t) == name), None)


ANYTHING = Contract(takes_all=True, emits_all=True)
"""Of what can't be read: nothing is refused."""

Said = tuple[str, Contract | None]
"""An actor as messages name it, `c1 (counter)`, and its contract, if that is known."""


def check_wire(emitter: Said, signal: str, reactor: Said, action: str) -> None:
    """Raise where that signal can't lead to that action.

    Raises:
        NoSuchThing: there is no such signal, or no such action; says which there are.
        UnfitArguments: what the signal carries can't be taken.
    """
    (source, emits), (target, does) = emitter, reactor
    if does is not None:
        does.check_action(target, action)
    if emits is not None:
        emits.check_signal(source, signal)
    carried = emits.signal(signal) if emits is not None else None
    taken = does.action(action) if does is not None else None
    if carried is None or taken is None:
        return
    if why := misfit_of_wire(carried, taken):
        said, wanted = f"{signal}{carried.told} of {source}", f"{action}{taken.told} of {target}"
        raise UnfitArguments(f"{said} doesn't fit {wanted}: {why}")


def check_arguments(
    what: str, shape: Shape | None, args: Sequence[object], kwargs: Mapping[str, object]
) -> None:
    """Raise UnfitArguments where `what`, of that shape, can't be given these arguments."""
    if shape is not None and (why := misfit_of_call(shape, args, kwargs)):
        raise UnfitArguments(f"{what} takes {shape.told}, {why}")


def check_constructor(made: Contract, type_name: str, names: Iterable[str]) -> None:
    """Raise UnfitArguments where actors of a type aren't made with arguments of these names."""
    given = dict.fromkeys(names, ...)  # of any type
    check_arguments(type_name, shape_of_action(made.constructor), (), given)


# -- of a class ------------------------------------------------------------------------------
_KNOWN: WeakKeyDictionary[type[Actor], Contract] = WeakKeyDictionary()


def contract_of(cls: type[Actor]) -> Contract:
    """Return the contract of a class. User code may run, and raise."""
    found = _KNOWN.get(cls)
    if found is None:
        found = _KNOWN[cls] = _read(cls)
    return found


def _read(cls: type[Actor]) -> Contract:
    declared = signals_of(cls)
    emitted, is_open = emitted_by(cls, declared)
    others = [f"{name}({UNTOLD})" for name in emitted if name not in declared]
    return Contract(
        class_name=cls.__qualname__,
        constructor=constructor_signature(cls),
        actions=action_signatures(cls),
        wrapped=sorted(n for n, f in actions_of(cls).items() if hasattr(f, "__wrapped__")),
        takes_all=takes_all(cls),
        signals=sorted([*signal_signatures(cls), *others]),
        emits_all=is_open,
    )


def _names(texts: Iterable[str]) -> list[str]:
    return [_name(text) for text in texts]


def _name(text: str) -> str:
    return text.partition("(")[0]
