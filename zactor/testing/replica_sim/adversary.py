"""An adversary that draws its moves, with a liking for what is dangerous.

It ends views between two KbAttempted, in three parts, while changes are on their way; takes the
power while writes wait that nobody waits for; and gives disks away beside nodes that are behind.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from zactor.kernel import limits
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.order import ALL, Reach
from zactor.testing.replica_sim.plan import Plan
from zactor.testing.replica_sim.shell import Node
from zactor.testing.replica_sim.temptations import is_newborn, spoken
from zactor.testing.replica_sim.world import World


class Adversary:
    """Plays a plan on a world; what it did stands in `actions`."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        self.actions: list[Action] = []
        self._chance = random.Random(plan.seed * 7_927 + 5)
        self._rooms = random.Random(plan.seed * 6_151 + 9)
        self._lost = plan.lost_disks
        self._old = plan.old_copies
        self._ids = 0
        self._asked: list[str] = []
        self._eagerness = 0.5  # how often who leaves a view knows what all hold
        self._wholeness = 0.0  # how often it holds all that was sent
        self._moves: list[tuple[float, Callable[[], None]]] = [
            (6.0, self._cut),
            (2.5, self._merge),
            (1.0, self._crash),
            (0.7, self._power_cut),
            (0.8, self._restart_one),
            (1.0, self._stop_time),
            (0.6, self._retire),
            (0.15, self._fail),
            (0.2, self._half_way),
            (0.2, self._burn),
        ]

    def play(self) -> None:
        """All but the end."""
        self._begin()
        weights = [weight for weight, _ in self._moves]
        for _ in range(self.plan.episodes):
            self._fill(0.4)
            self._clients()
            self._flow(self._chance.choice((0, 5, 12, 25)))
            if any(is_newborn(node) for node in self.world.live()) and self._chance.random() < 0.4:
                self._restart_one()
            has_torn = self._chance.random() < 0.3
            if has_torn:
                self._tear()
            if has_torn and self._chance.random() < 0.35:
                self._black_out()
            elif self._chance.random() < 0.6 and self._await_attempt():
                self._strike()
            else:
                (move,) = self._chance.choices([move for _, move in self._moves], weights)
                move()
            self._return()
            if self._chance.random() < self.plan.calm:
                self._rest()
                self._clients()
            else:
                self._flow(self._chance.choice((0, 20, 60)))

    def _do(self, action: Action) -> bool:
        done = self.world.do(action)
        if done:
            self.actions.append(action)
        return done

    def _rest(self) -> None:
        for _ in range(3_000):
            action = self.world.default()
            if action is None:
                return
            self._do(action)

    # -- the beginning -----------------------------------------------------------------------
    def _begin(self) -> None:
        first = [name for name in self.plan.names if name not in self.plan.late]
        for name in first:
            self._do(Action("start", name))
        self._do(Action("view", names=tuple(sorted(first))))
        if self.plan.founds_roughly:
            self._flow(40)
            for name in first[:2]:
                self._do(Action("found", name))
            self._flow(self._chance.randrange(0, 40))
            return
        self._rest()
        self._do(Action("found", min(first)))
        self._rest()

    # -- what goes on by itself --------------------------------------------------------------
    def _await_attempt(self) -> bool:
        """Go on until somebody has an attempt under way, and some or all have spoken for it."""
        wanted = self._chance.choice((0.0, 0.5, 0.9, 1.0, 1.0, 1.0))
        self._flow(120, until=lambda node: spoken(node) >= wanted)
        return any(spoken(node) >= wanted for node in self.world.live())

    def _tear(self) -> None:
        """Changes are on their way when the view ends: each part has taken down its own only."""
        chance = self._chance
        inside = [
            node.name
            for node in self.world.live()
            if node.replica is not None and node.replica.is_primary
        ]
        for name in inside:
            for _ in range(chance.choice((0, 1, 1, 3))):
                self._ids += 1
                self._do(Action("submit", name, f"u{self._ids}"))
        names = [node.name for node in self.world.live()]
        for part in self._parts(names):
            others = tuple(name for name in self.world.names if name not in part)
            reach = (Reach(ALL, others, 0),) * len(part)
            self._do(Action("view", names=tuple(sorted(part)), reach=reach))

    def _black_out(self) -> None:
        """What nobody waited for isn't on disk when the power goes, and all meet again."""
        self._flow(self._chance.choice((60, 120)))
        for node in self.world.live():
            waiting = node.journal.waiting
            urgent = max((at for at, one in enumerate(waiting, 1) if one[1]), default=0)
            self._do(Action("crash", node.name, count=urgent))
            self._do(Action("start", node.name))
        self._merge()

    def _strike(self) -> None:
        """Trouble in the middle of an attempt."""
        chance = self._chance
        self._eagerness = chance.choice((0.0, 0.3, 1.0))
        self._fill(0.6)
        if chance.random() < 0.6:
            self._favour()
        else:
            self._flow(chance.choice((0, 0, 1, 2, 4, 8)))
        if chance.random() < 0.3:
            self._clients()
        if chance.random() < 0.75:
            self._cut()
        else:
            chance.choice((self._crash, self._power_cut, self._merge, self._half_way))()
        self._eagerness, self._wholeness = 0.5, 0.0

    def _favour(self) -> None:
        """One is given all there is, and goes on as the primary; the others learn of it late."""
        names = [node.name for node in self.world.live() if node.view is not None]
        if not names:
            return
        node = self.world.nodes[self._chance.choice(names)]
        for _ in range(40):
            sender = node.view.first(node.name) if node.view is not None else None
            if sender is None or not self._do(Action("give", node.name, sender)):
                break
        for _ in range(self._chance.choice((0, 1, 2, 3))):
            self._ids += 1
            self._do(Action("submit", node.name, f"u{self._ids}"))
        self._eagerness, self._wholeness = 0.0, 0.8

    def _flow(self, steps: int, *, until: Callable[[Node], bool] | None = None) -> None:
        """Some deliver and write, in any order; some are slow."""
        world, chance = self.world, self._chance
        nodes = [node for node in world.live() if node.view is not None]
        deaf = {node.name for node in nodes if chance.random() < 0.15}
        stuck = {node.name for node in nodes if chance.random() < 0.15}
        idle = 0
        while steps > 0 and nodes and idle < 30:
            steps -= 1
            self._fill(0.03)
            node = chance.choice(nodes)
            if self._step(node, node.name in deaf, node.name in stuck):
                idle = 0
            else:
                idle += 1
            if until is not None and until(node):
                return

    def _step(self, node: Node, is_deaf: bool, is_stuck: bool) -> bool:
        chance = self._chance
        if node.replica is None or node.view is None:
            return False
        waiting = len(node.journal.waiting)
        is_due = node.journal.is_awaited or (waiting and chance.random() < 0.1)
        if is_due and not is_stuck and chance.random() < 0.4:
            count = waiting if chance.random() < 0.7 else chance.randint(1, waiting)
            return self._do(Action("sync", node.name, count=count))
        if is_deaf and chance.random() < 0.9:
            return False
        for (source, target), queue in self.world.links.items():
            if queue and target == node.id and chance.random() < 0.3:
                return self._do(Action("link", node.name, source.name))
        senders = node.view.deliverable(node.name)
        return bool(senders) and self._do(Action("give", node.name, chance.choice(senders)))

    def _clients(self) -> None:
        chance, live = self._chance, self.world.live()
        inside = [node for node in live if node.replica is not None and node.replica.is_primary]
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            nodes = inside if inside and chance.random() < 0.8 else live
            if not nodes:
                return
            name = chance.choice(nodes).name
            if chance.random() < 0.15:
                self._ids += 1
                self._do(Action("read", name, f"r{self._ids}"))
            elif self._asked and chance.random() < 0.08:
                self._do(Action("submit", name, chance.choice(self._asked)))
            else:
                self._ids += 1
                self._asked.append(f"u{self._ids}")
                self._do(Action("submit", name, f"u{self._ids}"))

    # -- views -------------------------------------------------------------------------------
    def _reach(self, names: list[str], count: int) -> tuple[Reach, ...]:
        return tuple(self._one_reach(names) for _ in range(count))

    def _one_reach(self, names: list[str]) -> Reach:
        chance = self._chance
        extent, stable = ALL, ALL
        holes: tuple[str, ...] = ()
        is_whole = chance.random() < self._wholeness
        dice = 1.0 if is_whole else chance.random()
        if dice < 0.2:
            extent = 0
        elif dice < 0.6:
            view = self.world.nodes[names[0]].view
            sent = view.sent if view is not None else 0
            extent = max(0, sent - chance.randrange(0, 9))
        if not is_whole and chance.random() < 0.3:
            others = [name for name in self.world.names if name not in names]
            holes = tuple(sorted(chance.sample(others, min(len(others), chance.randint(1, 2)))))
        if chance.random() >= self._eagerness:
            stable = chance.choice((0, 0, 1, 2, 3))
        return Reach(extent, holes, stable)

    def _install(self, names: list[str]) -> None:
        names = sorted(names)
        views = {id(self.world.nodes[name].view) for name in names}
        self._do(Action("view", names=tuple(names), reach=self._reach(names, len(views))))

    def _parts(self, names: list[str]) -> list[list[str]]:
        chance = self._chance
        count = chance.choice((2, 2, 3, 3)) if len(names) > 3 else chance.choice((2, 2, 2, 3))
        parts: list[list[str]] = [[] for _ in range(count)]
        for name in names:
            chance.choice(parts).append(name)
        return [part for part in parts if part]

    def _cut(self) -> None:
        names = [node.name for node in self.world.live()]
        if not names:
            return
        parts = self._parts(names)
        self._chance.shuffle(parts)
        for part in parts:
            dice = self._chance.random()
            if dice < 0.12:
                continue  # goes on in its old view for now
            if dice < 0.3:
                self._mute(part)
            self._install([name for name in part if self.world.nodes[name].replica is not None])
            if self._chance.random() < 0.3:
                self._flow(self._chance.randrange(1, 25))
        self._unmute()

    def _mute(self, names: list[str]) -> None:
        self._do(Action("mute", self._chance.choice(names)))

    def _unmute(self) -> None:
        for node in self.world.live():
            if node.is_muted and self._chance.random() < 0.8:
                self._do(Action("unmute", node.name))

    def _merge(self) -> None:
        names = [node.name for node in self.world.live()]
        if len(names) > 2 and self._chance.random() < 0.5:
            names = self._chance.sample(names, self._chance.randint(2, len(names)))
        if names:
            self._install(names)

    def _half_way(self) -> None:
        view = self._some_view()
        if view:
            reach = self._reach(view, 1)
            self._do(Action("recover", names=tuple(sorted(view)), reach=reach))
            self._flow(6)
            self._cut()

    def _some_view(self) -> list[str]:
        live = [node for node in self.world.live() if node.view is not None]
        if not live:
            return []
        view = self._chance.choice(live).view
        names = [node.name for node in live if node.view is view]
        return self._chance.sample(names, self._chance.randint(1, len(names)))

    def _burn(self) -> None:
        view = self._some_view()
        if view:
            self._do(Action("burn", view[0]))
            self._flow(20)
            self._cut()

    # -- processes and disks -----------------------------------------------------------------
    def _crash_one(self, node: Node) -> None:
        waiting = node.journal.waiting
        urgent = max((at for at, one in enumerate(waiting, 1) if one[1]), default=0)
        count = self._chance.choice((0, urgent, len(waiting), len(waiting) // 2))
        self._do(Action("crash", node.name, count=count))

    def _crash(self) -> None:
        live = self.world.live()
        if live:
            self._crash_one(self._chance.choice(live))
            self._rearrange()

    def _rearrange(self) -> None:
        """Who is left meets in one view, or not yet."""
        if self._chance.random() < 0.6:
            self._merge()

    def _power_cut(self) -> None:
        for node in self.world.live():
            if self._chance.random() < 0.8:
                self._crash_one(node)
        self._rearrange()

    def _restart_one(self) -> None:
        """Alone at first: it might make a primary, or found a cluster, all by itself."""
        live = self.world.live()
        if not live:
            return
        node = self._chance.choice([node for node in live if is_newborn(node)] or live)
        if is_newborn(node):
            self._do(Action("crash", node.name, count=ALL))
        self._crash_one(node)
        self._swap_disk(node)
        self._do(Action(self._chance.choice(("start", "start", "hold")), node.name))
        self._install([node.name])
        self._flow(10)
        self._do(Action("found", node.name))
        self._flow(10)

    def _swap_disk(self, node: Node) -> None:
        if self._lost and self._chance.random() < 0.5:
            self._lost -= self._do(Action("lose", node.name))
        elif self._old and self._chance.random() < 0.6:
            count = self._chance.randint(1, 8)
            self._old -= self._do(Action("back", node.name, count=count))

    def _return(self) -> None:
        chance = self._chance
        for node in self.world.nodes.values():
            if node.replica is None and chance.random() < 0.6:
                if self._rooms.random() < 0.8:
                    self._do(Action("room", node.name))
                if node.name in self.plan.gone and node.life and chance.random() < 0.5:
                    continue
                self._swap_disk(node)
                self._do(Action("hold" if chance.random() < 0.15 else "start", node.name))
            elif node.is_held and chance.random() < 0.6:
                self._do(Action("begin", node.name))
            elif node.has_retired and chance.random() < 0.5:
                self._crash_one(node)
            elif self.world.may_found(node) and chance.random() < 0.5:
                self._do(Action("found", node.name))

    def _stop_time(self) -> None:
        for node in self.world.live():
            if node.replica is not None and not node.replica.is_primary:
                self._do(Action("tick", node.name, count=limits.KB_REFUSE_MS + 1))

    def _retire(self) -> None:
        live = self.world.live()
        if live:
            self._do(Action("retire", self._chance.choice(live).name))
            if self._await_attempt():
                self._strike()

    def _fill(self, share: float) -> None:
        """Room comes and goes, now and then with most at once; it is seen when somebody writes."""
        chance = self._rooms
        if not self.plan.fills or chance.random() >= share:
            return
        full = [node for node in self.world.nodes.values() if not node.has_room]
        live = [node for node in self.world.live() if node.has_room]
        if full and chance.random() < 0.6:
            self._do(Action("room", chance.choice(full).name))
        elif live:
            for node in chance.sample(live, min(len(live), chance.choice((1, 1, 1, 2, 3)))):
                self._do(Action("fill", node.name))
                if node.journal.waiting and chance.random() < 0.7:
                    self._do(Action("sync", node.name, count=ALL))

    def _fail(self) -> None:
        live = self.world.live()
        if live:
            self._do(Action("fail", self._chance.choice(live).name))
