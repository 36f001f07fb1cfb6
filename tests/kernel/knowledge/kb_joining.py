"""A cluster that others join: who led alone, former members, another cluster or some of it.

The cohort is two or more members, of whom most stay alive from when they have one history. Who
joins may have any name and role, led alone any number of times, and meets the others one by one.
What was decided, and most of those who live on had it then, must be there at the end.
"""

from __future__ import annotations

from collections.abc import Iterable

from kb_world import Node, Simulation, check

from zactor.kernel.knowledge import replica
from zactor.kernel.protocol.messages import Change

SOLO_RUNS = 5


class Joining(Simulation):
    """One seed's run."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.forks = True
        count = self.random.randint(3, 6)
        names = [f"{self.random.choice('mnn')}{number}" for number in range(count)]
        self.nodes = {n: Node(n, "master" if n[0] == "m" else "node") for n in sorted(names)}
        cohort = self.random.sample(names, self.random.randint(2, min(4, count - 1)))
        self.cohort = [self.nodes[name] for name in sorted(cohort)]
        self.strangers = [self.nodes[name] for name in names if name not in cohort]
        self.away: set[str] = set(names)  # who can't see the others, nor be seen
        self.throughout: dict[str, int] = {}  # of the cohort, who lives on from its beginning
        self.protected: set[str] = set()
        self.rivals = False  # who joins is a smaller cohort of its own, and comes as a whole

    def run(self) -> None:
        past = self.random.choice(["fresh", "former", "elsewhere", "cohort"])
        self.rivals = past == "cohort" and len(self.strangers) < len(self.cohort)
        if past in ("elsewhere", "cohort"):
            self.together(self.strangers)
            self.leave(self.strangers, alive=self.rivals)
        former = self.strangers if past == "former" else []
        self.together([*self.cohort, *former])
        self.leave(former)
        self.drain()
        while True:
            self.throughout = {node.name: node.incarnation for node in self.live()}
            self.faults = True
            self.chaos(self.random.randrange(40))
            if not self.strangers:
                break
            self.come()
            self.chaos(120)
            self.drain()
            for node in self.nodes.values():
                if not node.alive and node.name not in self.away:
                    self.start(node)
            self.drain()
        self.drain()
        self.check_end()

    def come(self) -> None:
        """Let some strangers come: fewer than live on, together with those who died meanwhile."""
        others = len(self.nodes) - len(self.away) - len(self.throughout)
        most = max(1, len(self.throughout) - others - 1)
        for _ in range(len(self.strangers) if self.rivals else self.random.randint(1, most)):
            if self.strangers:
                self.alone(self.strangers.pop())

    def together(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            self.away.discard(node.name)
            self.start(node)
        self.drain()
        for _ in range(self.random.randrange(60)):
            self.random.choice([self.submit, self.deliver, self.deliver])()

    def leave(self, nodes: Iterable[Node], *, alive: bool = False) -> None:
        for node in nodes:
            if not alive:
                self.die(node)
            self.away.add(node.name)

    def alone(self, node: Node) -> None:
        """Let `node` lead alone, some times, and then meet the others, now or at its next start."""
        for _ in range(self.random.randint(0, 0 if self.rivals else SOLO_RUNS)):
            if node.alive:
                self.die(node)
            self.start(node)
            if node.alive:
                node.ready = True
                self.carry_out(node, node.replica.ready(self.clock()))
            for _ in range(self.random.randrange(4)):
                if node.alive:
                    self.submit_at(node)
        if node.alive and not self.rivals and self.random.random() < 0.3:
            self.die(node)
        self.away.discard(node.name)

    # -- what is otherwise than in any run -----------------------------------------------------
    def live(self) -> list[Node]:
        return [node for node in super().live() if node.name not in self.away]

    def restart(self) -> None:
        dead = [n for name, n in self.nodes.items() if not n.alive and name not in self.away]
        if dead:
            self.start(self.random.choice(dead))

    def may_crash(self, node: Node) -> bool:
        """Those who live on stay more than all others, who may meet each other first."""
        if node.name in self.away or node.name not in self.throughout:
            return True
        coming = len(self.strangers) if self.rivals else 1  # leave room for them
        return 2 * (len(self.throughout) - 1) > len(self.nodes) - len(self.away) + coming

    def die(self, node: Node) -> None:
        self.throughout.pop(node.name, None)
        super().die(node)

    def carry_out(self, node: Node, effects: list[replica.Effect]) -> None:
        super().carry_out(node, effects)
        for effect in effects:
            if isinstance(effect, replica.Decided) and effect.id in self.outcomes:
                place = (effect.id, *effect.clock)
                having = [n for n in self.throughout if place in self.nodes[n].disk.ids]
                if 2 * len(having) > len(self.throughout):
                    self.protected.add(effect.id)

    def check_outcomes(self, past: list[Change]) -> None:
        places = {change.id: (change.epoch, change.index) for change in past}
        for id_ in self.protected:
            _, clock, *_ = self.outcomes[id_]
            check(places.get(id_) == clock, f"{id_} was decided in the cohort and is lost")
