"""A theory that plans are made against and applied to, and nodes that do at once what it says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.messages.knowledge import Change, Transaction
from zactor.supervisor.desired import draft
from zactor.supervisor.desired.comparison import PlanOptions
from zactor.supervisor.desired.plan import Plan, make_plan
from zactor.supervisor.kb import facts, orders, policies
from zactor.supervisor.kb.fact_patterns import actor_patterns, forget_patterns
from zactor.supervisor.kb.provenance import ChangeReport
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedFactory, WishedWire

CODE, NEW_CODE = "sha256:" + "a" * 64, "sha256:" + "b" * 64


class DesiredWorld:
    """One knowledge base."""

    def __init__(self, nodes: Sequence[str] = ("n1", "n2", "n3")) -> None:
        self.theory = Theory()
        self.changes: list[Change] = []
        self._ids = itertools.count(1)
        for name in nodes:
            self.do(assert_=[f"node({name}, '127.0.0.1:1')", f"incarnation({name}, 1)"])

    def do(
        self,
        *,
        require: Sequence[tuple[str, str, str]] = (),
        retract: Sequence[str] = (),
        assert_: Sequence[str] = (),
        why: str = "by hand",
    ) -> ChangeReport:
        number = next(self._ids)
        transaction = Transaction(
            f"t{number}", "bob@m1", why, tuple(require), tuple(retract), tuple(assert_)
        )
        prepared = self.theory.prepare(transaction)
        change = Change(
            epoch=1,
            index=number,
            id=f"t{number}",
            who="bob@m1",
            why=why,
            at=0.0,
            retracted=prepared.retracted,
            asserted=prepared.asserted,
            digest=b"",
        )
        self.theory.apply(change)
        self.changes.append(change)
        return ChangeReport.of(change)

    def commit(self, transaction: draft.Transaction) -> ChangeReport:
        return self.do(
            require=transaction.require,
            retract=transaction.retract,
            assert_=transaction.assert_,
            why=transaction.why,
        )

    def plan(self, wish: Wish, **options: bool) -> Plan:
        id_ = f"request {next(self._ids)}"
        return make_plan(wish, self.theory, facts.nodes(self.theory), PlanOptions(**options), id_)

    def apply(self, wish: Wish, **options: bool) -> Plan:
        plan = self.plan(wish, **options)
        if not plan.transaction.is_empty:
            self.commit(plan.transaction)
        self.settle()
        return plan

    def settle(self) -> None:
        """Let the nodes do what the facts say, as their reconcilers would."""
        for row in facts.actors(self.theory):
            new = policies.successor(self.theory, row.name)
            if row.state == "stopping" and new is not None:
                patterns = [*actor_patterns(row.name), policies.next_pattern(row.name)]
                policy = policies.policy(self.theory, row.name)
                self.do(retract=patterns, assert_=new.begins(policy))
            elif row.state == "stopping":
                self.do(retract=forget_patterns(row.name))
        for lost in orders.all_lost(self.theory):
            new = policies.successor(self.theory, lost.name)
            if new is not None:  # nothing proves here that it runs where it was
                policy = policies.policy(self.theory, lost.name)
                patterns = orders.lost_patterns(lost.name)
                self.do(retract=patterns, assert_=new.begins(policy))
        for row in facts.actors(self.theory):
            if row.state == "starting":
                self.set_state(row.name, "running")

    def set_state(self, name: str, state: str, reason: str = "") -> None:
        self.do(retract=[f"state({name}, _, _)"], assert_=[f'state({name}, {state}, "{reason}")'])

    def deploy(self, name: str, *, on: str = "n1", arguments: str = "{}") -> None:
        """By hand."""
        begins = policies.start_facts(name, "counter", on, CODE, arguments, f"hand {name}")
        self.do(assert_=begins)
        self.settle()

    def texts(self) -> list[str]:
        return self.theory.texts()


def actor(name: str, *on: str, **given: object) -> WishedActor:
    fields: dict[str, object] = {"name": name, "type": "counter", "on": on or ("n1",), **given}
    return WishedActor(**fields)  # type: ignore[arg-type]


def wire(text: str, service: str = "fifo", meanwhile: str = "") -> WishedWire:
    emitter, action, reactor = text.replace("->", ".").replace(" ", "").split(".")
    return WishedWire(
        emitter=emitter, action=action, reactor=reactor, service=service, meanwhile=meanwhile
    )


def wish(
    *parts: WishedActor | WishedWire, code: str = CODE, name: str = "lab", keep: bool = True
) -> Wish:
    return Wish(
        name=name,
        keep=keep,
        factories=(WishedFactory(type="counter", bundle=code),),
        actors=tuple(part for part in parts if isinstance(part, WishedActor)),
        wires=tuple(part for part in parts if isinstance(part, WishedWire)),
    )


def lines(plan: Plan, signs: str = "+~-!x") -> list[str]:
    """Its rows as `sign kind name`."""
    return [f"{row.sign} {row.kind} {row.name}" for row in plan.rows if row.sign in signs]
