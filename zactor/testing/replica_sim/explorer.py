"""All that an adversary can choose, up to a bound: three nodes, small scripts.

Left alone a world does one thing after the other (`World.default`). A *deviation* is a choice of
the adversary at some step: a view, a crash, a slow node, a slow disk. Bound b plays every run of a
script with at most b deviations at any steps. Who comes to a state that was met before, with no
more deviations left than then, is there no second time. A state is what each node was given, in
order, with what is under way between them: so runs that differ in the order of what doesn't meet
are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from zactor.kernel import limits
from zactor.testing.replica_coverage import ReplicaCoverage
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.healing import heal, rest
from zactor.testing.replica_sim.order import ALL, Reach
from zactor.testing.replica_sim.shell import Tell
from zactor.testing.replica_sim.snapshots import Snapshot
from zactor.testing.replica_sim.world import World
from zactor.testing.seeds import Found

NAMES = ("n1", "n2", "n3")
_STEPS_MAX = 600
_REACHES = (Reach(), Reach(ALL, (), 0), Reach(0, (), 0))

Script = tuple[Action, ...]


def _all(kind: str, *names: str, count: int = 0) -> Script:
    return tuple(Action(kind, name, count=count) for name in names)


def _view(*names: str, reach: tuple[Reach, ...] = ()) -> Action:
    return Action("view", names=names, reach=reach)


REST = Action("rest")  # go on until nothing moves
_FOUNDED = (*_all("start", *NAMES), _view(*NAMES), REST, Action("found", "n1"), REST)
SCRIPTS: dict[str, Script] = {
    "founding": (*_all("start", *NAMES), _view(*NAMES), REST, Action("found", "n1")),
    "changes": (
        *_FOUNDED,
        *(Action("submit", "n1", "u1"), Action("submit", "n3", "u2"), Action("read", "n2", "r1")),
    ),
    "split": (
        *_FOUNDED,
        *(Action("submit", "n1", "u1"), Action("submit", "n3", "u2")),
        _view("n3", reach=(Reach(ALL, ("n1", "n2"), 0),)),
        _view("n1", "n2", reach=(Reach(ALL, ("n3",), 0),)),
    ),
    "leaving": (*_FOUNDED, Action("retire", "n3"), Action("submit", "n1", "u1")),
    "newcomer": (
        *_all("start", "n1", "n2"),
        *(_view("n1", "n2"), REST, Action("found", "n1"), REST),
        *(Action("submit", "n1", "u1"), Action("start", "n3"), _view(*NAMES)),
    ),
}
"""By name: how a world comes to where the search begins."""


class Deviation(NamedTuple):
    """What the adversary does at one step: moves, and whom it makes slow from then on."""

    words: str
    moves: Script = ()
    deaf: str = ""
    stuck: str = ""


@dataclass(slots=True)
class Explored:
    """What a search has seen."""

    script: str
    bound: int
    states: int = 0  # told from each other
    met: int = 0  # that had been met before
    choices: int = 0  # deviations that were tried
    runs: int = 0  # played to their end
    is_whole: bool = True  # all within the bound were tried
    found: dict[str, list[Action]] = field(default_factory=dict)  # by invariant: a run
    words: dict[str, str] = field(default_factory=dict)  # by invariant: the first complaint

    def __str__(self) -> str:
        whole = "all" if self.is_whole else "not all"
        return (
            f"{self.script}, bound {self.bound} ({whole} of it): {self.states} states,"
            f" {self.choices} choices, {self.met} met again, {self.runs} ends,"
            f" {len(self.found)} invariants broken"
        )


def prepare(script: Script, coverage: ReplicaCoverage | None = None) -> World:
    """Return a world in which a script has been played."""
    world = World(NAMES, coverage)
    for action in script:
        if action is REST:
            rest(world)
        else:
            world.do(action)
    return world


def deviations() -> Iterator[Deviation]:
    """Everything the adversary may do at a step."""
    parts: list[tuple[tuple[str, ...], ...]] = [(NAMES,), *(((name,),) for name in NAMES)]
    for alone in NAMES:
        others = tuple(name for name in NAMES if name != alone)
        parts += [(others,), ((alone,), others)]
    parts.append(tuple((name,) for name in NAMES))
    for part in parts:
        for reach in _REACHES:
            moves = tuple(_view(*names, reach=(reach,) * 3) for names in part)
            yield Deviation(" | ".join(", ".join(names) for names in part), moves)
    for name in NAMES:
        for count in (0, ALL):
            again = (Action("crash", name, count=count), Action("start", name))
            yield Deviation(f"{name} restarts", again)
    for count in (0, ALL):
        crashes = _all("crash", *NAMES, count=count)
        yield Deviation("power cut", (*crashes, *_all("start", *NAMES), _view(*NAMES)))
    for name in NAMES:
        yield Deviation(f"{name} is slow", deaf=name)
        yield Deviation(f"the disk of {name} is slow", stuck=name)


class _Place(NamedTuple):
    """A world in the middle of a run, and how it came there."""

    world: World
    deaf: frozenset[str]
    stuck: frozenset[str]
    moves: tuple[object, ...]  # a chain of (before, action)


class Explorer:
    """A search through one script, to one bound."""

    def __init__(
        self,
        name: str,
        bound: int,
        *,
        runs_max: int = 1 << 30,
        progress: Callable[[str], None] = lambda words: None,
    ) -> None:
        """Args: `progress` is told now and then how far it is."""
        self.explored = Explored(name, bound)
        self.coverage = ReplicaCoverage()
        self._script = SCRIPTS[name]
        self._runs_max = runs_max
        self._progress = progress
        self._met: dict[object, int] = {}  # state -> deviations that were left
        self._ended: set[object] = set()
        self._deviations = tuple(deviations())

    def explore(self) -> Explored:
        """Try everything."""
        world = prepare(self._script, self.coverage)
        moves: tuple[object, ...] = ()
        for action in self._script:
            moves = (moves, action)
        start = _Place(world, frozenset(), frozenset(), moves)
        self._search(start, self.explored.bound)
        return self.explored

    def _search(self, place: _Place, left: int) -> None:
        """Go on from `place` by itself; at each step try all deviations, while some are `left`."""
        for _ in range(_STEPS_MAX):
            if self.explored.runs >= self._runs_max:
                self.explored.is_whole = False
                return
            if self._was_met(place, left):
                return
            if left:
                self._deviate(place, left)
            place, moves_on = self._step(place)
            if not moves_on:
                break
        self._end(place)

    def _was_met(self, place: _Place, left: int) -> bool:
        key = (place.world.state(), place.deaf, place.stuck)
        before = self._met.get(key)
        if before is None:
            self.explored.states += 1
        elif before >= left:
            self.explored.met += 1
            return True
        self._met[key] = left
        return False

    def _step(self, place: _Place) -> tuple[_Place, bool]:
        world = place.world
        action = world.default(place.deaf, place.stuck)
        if action is None:
            if not (place.deaf or place.stuck):
                return place, False
            return place._replace(deaf=frozenset(), stuck=frozenset()), True
        world.do(action)
        return place._replace(moves=(place.moves, action)), True

    def _deviate(self, place: _Place, left: int) -> None:
        try:
            snapshot = Snapshot(place.world)
        except TypeError:  # a history is on its way in pieces: such a state can't be copied
            self.explored.is_whole = False
            return
        for deviation in self._deviations:
            if deviation.deaf in place.deaf or deviation.stuck in place.stuck:
                continue
            self.explored.choices += 1
            world, moves = snapshot.restore(), place.moves
            for action in deviation.moves:
                if world.do(action):
                    moves = (moves, action)
            deaf, stuck = place.deaf, place.stuck
            if deviation.deaf:
                deaf |= {deviation.deaf}
            if deviation.stuck:
                stuck |= {deviation.stuck}
            self._search(_Place(world, deaf, stuck, moves), left - 1)

    def _end(self, place: _Place) -> None:
        """Nothing moves: let all wait too long, then heal."""
        world = place.world
        key = world.state()
        if key in self._ended:
            return
        self._ended.add(key)
        self.explored.runs += 1
        if self.explored.runs % 500 == 0:
            self._progress(str(self.explored))
        finish(world)
        self.coverage.run_ends()
        for invariant, lines in world.judge.found.items():
            if invariant not in self.explored.found:
                self.explored.found[invariant] = _listed(place.moves)
                self.explored.words[invariant] = lines[0]
                self._progress(f"{invariant}: {lines[0]}")


def _listed(moves: tuple[object, ...]) -> list[Action]:
    found: list[Action] = []
    while moves:
        before, action = moves
        assert isinstance(before, tuple)
        assert isinstance(action, Action)
        found.append(action)
        moves = before
    return found[::-1]


def retell(actions: Sequence[Action], tell: Tell | None = None) -> Found:
    """Play such a run again, to its end; `tell` is told what happens."""
    world = World(NAMES)
    world.tell = world.judge.tell = tell
    for action in actions:
        if action is REST or action == REST:
            rest(world)
        elif world.do(action) and tell is not None and action.kind not in ("give", "link"):
            tell(f"- {action}")
    finish(world)
    return world.judge.found


def finish(world: World) -> None:
    """Nothing moves any more: let all wait too long, then heal."""
    for name in NAMES:
        world.do(Action("tick", name, count=limits.KB_REFUSE_MS + 1))
    heal(world)
