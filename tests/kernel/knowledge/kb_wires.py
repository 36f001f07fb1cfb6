"""Replicas joined by perfect links, and a few transactions, for the tests beside this."""

from __future__ import annotations

from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.history import Saved
from zactor.kernel.knowledge.replica import (
    Decided,
    Effect,
    Replica,
    Send,
)
from zactor.kernel.knowledge.theory import FactRow, Theory
from zactor.kernel.protocol.messages import (
    KbMessage,
    KbState,
    Transaction,
)

MASTER, NODE = ("master", 1), ("node", 1)


def new(me: str, rows: list[FactRow] | None = None) -> Replica:
    return Replica(me, Saved(theory=Theory(rows or [])))


def create(name: str, id_: str = "") -> Transaction:
    return Transaction(
        id_ or f"create {name}",
        "m1",
        "test",
        ((f"\\+ actor({name})", "AlreadyExists", f"{name} is there"),),
        (),
        (f"actor({name})",),
    )


def destroy(name: str) -> Transaction:
    needs = ((f"actor({name})", "NoSuchActor", f"no {name}"),)
    return Transaction(f"destroy {name}", "m1", "test", needs, (f"actor({name})",), ())


def stands(
    epoch: int,
    clock: Clock = ORIGIN,
    *,
    obeys: bool = True,
    root: str = "",
    led: tuple[str, ...] = (),
    beside: tuple[str, ...] = (),
) -> KbState:
    """The answer to a poll; the digest is of no history at all, or of one that nobody has."""
    digest = b"" if clock == ORIGIN else repr((root, clock)).encode()
    return KbState(epoch, obeys, clock, digest, root, led, beside)


def actors(replica: Replica) -> tuple[str, ...]:
    return tuple(text for text in replica.theory.texts() if not text.startswith("founded("))


def sent(effects: list[Effect], to: str | None = None) -> list[KbMessage]:
    return [e.message for e in effects if isinstance(e, Send) and to in (None, e.to)]


def decided(effects: list[Effect]) -> list[tuple[str, str]]:
    return [(e.id, e.kind) for e in effects if isinstance(e, Decided)]


class Wires:
    """Replicas joined by links that deliver at once and in order; what happened, in a list."""

    def __init__(self, **roles: str) -> None:
        self.roles = roles
        self.lives = dict.fromkeys(roles, 1)
        self.replicas: dict[str, Replica] = {}
        self.happened: list[tuple[str, Effect]] = []
        self.cut: set[str] = set()  # whose messages stay on the way
        for name in roles:
            self.replicas[name] = new(name)

    def view(self, *names: str) -> dict[str, tuple[str, int]]:
        return {name: (self.roles[name], self.lives[name]) for name in names}

    def run(self, name: str, effects: list[Effect]) -> None:
        queue = [(name, effect) for effect in effects]
        while queue:
            source, effect = queue.pop(0)
            self.happened.append((source, effect))
            if isinstance(effect, Send) and source not in self.cut and effect.to in self.replicas:
                answer = self.replicas[effect.to].receive(source, effect.message, 0.0)
                queue += [(effect.to, one) for one in answer]

    def members(self, *names: str) -> None:
        for name in names:
            self.run(name, self.replicas[name].members(self.view(*names), 0.0))

    def ready(self, *names: str) -> None:
        for name in names:
            self.run(name, self.replicas[name].ready(0.0))

    def submit(self, name: str, transaction: Transaction) -> None:
        self.run(name, self.replicas[name].submit(transaction, 0.0))

    def outcomes(self, name: str) -> list[tuple[str, str]]:
        return decided([effect for source, effect in self.happened if source == name])

    def facts(self) -> set[tuple[str, ...]]:
        return {actors(replica) for replica in self.replicas.values()}
