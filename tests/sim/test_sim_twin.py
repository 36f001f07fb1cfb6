"""Without faults the engine tells every session exactly what one place that knows all would."""

from __future__ import annotations

import random

import pytest
from slow_marks import slow_after
from twin import Member, Told, Twin

from zactor.kernel.groups import events, parcels
from zactor.kernel.groups.trace import message_id
from zactor.kernel.messages.service import Service
from zactor.testing.group_sim.cluster import Cluster
from zactor.testing.group_sim.faults import Faults
from zactor.testing.group_sim.history import Line

_GROUPS = ("red", "green", "blue")


def _told(lines: list[Line]) -> dict[Member, list[Told]]:
    told: dict[Member, list[Told]] = {}

    def tell(process: str, sessions: list[str], what: Told) -> None:
        for session in sessions:
            told.setdefault((process, session), []).append(what)

    for line in lines:
        if line["k"] == "deliver":
            tell(line["p"], line["to"], ("message", line["mid"]))
        elif line["k"] == "gview":
            members = tuple((node, session) for node, session in line["members"])
            tell(line["p"], line["to"], ("group", line["group"], line["cause"], members))
        elif line["k"] == "gleft":
            tell(line["p"], [line["session"]], ("left", line["group"]))
    return told


class _Both:
    """The engine's cluster and the twin, doing the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.cluster = Cluster(self.chance, Faults())
        names = [f"n{index + 1}" for index in range(self.chance.randint(2, 5))]
        for name in names:
            self.cluster.start(name)
        self.cluster.run_ms(1_500)
        self.nodes = [self.cluster.nodes[name] for name in names]
        assert all(len(node.engine.view.members) == len(names) for node in self.nodes)
        self.twin = Twin(tuple(str(node.id) for node in self.nodes))
        self.sessions: list[tuple[int, str, set[str]]] = []

    def act(self, number: int) -> None:
        chance, twin = self.chance, self.twin
        if len(self.sessions) < 3 or chance.random() < 0.05:
            index = chance.randrange(len(self.nodes))
            self._do(index, events.SessionOpened(f"s{number}"))
            twin.open(str(self.nodes[index].id), f"s{number}")
            self.sessions.append((index, f"s{number}", set()))
            return
        index, session, joined = chance.choice(self.sessions)
        node, group = str(self.nodes[index].id), chance.choice(_GROUPS)
        dice = chance.random()
        if dice < 0.25 and group not in joined:
            joined.add(group)
            self._do(index, events.Join(session, group))
            twin.join(node, session, group)
        elif dice < 0.35 and group in joined:
            joined.remove(group)
            self._do(index, events.Leave(session, group))
            twin.leave(node, session, group)
        elif dice < 0.38:
            self.sessions.remove((index, session, joined))
            self._do(index, events.SessionClosed(session))
            twin.close(node, session)
        else:
            self._send(index, session)

    def _send(self, index: int, session: str) -> None:
        chance, node = self.chance, self.nodes[index]
        groups = tuple(chance.sample(_GROUPS, chance.randint(1, 3)))
        to = chance.choice(self.sessions)
        if chance.random() < 0.3:
            groups = (*groups, f"#{to[1]}#{self.nodes[to[0]].id.name}")
        discard, service = chance.random() < 0.3, chance.choice(list(Service))
        count = 1 if service is Service.UNRELIABLE else chance.choice((1, 1, 2, 7))
        body = b"" if count == 1 else parcels.pack([b""] * count)
        self._do(index, events.Submit(session, service, groups, body, discard, 0, count))
        last = node.engine.last_number
        for number in range(last - count + 1, last + 1):
            mid = message_id(node.id, number)
            self.twin.send(str(node.id), session, mid, groups, discard)

    def _do(self, index: int, event: events.Event) -> None:
        self.cluster.step(self.nodes[index], event)
        self.cluster.run_ms(60)


@pytest.mark.parametrize("seed", slow_after(4, range(12)))
def test_the_engine_tells_what_its_twin_predicts(seed: int) -> None:
    both = _Both(seed)
    for number in range(60):
        both.act(number)
    told = _told(both.cluster.lines)
    assert {who: what for who, what in both.twin.told.items() if what} == told


def test_a_twin_that_forgets_one_message_disagrees() -> None:
    both = _Both(1)
    for number in range(60):
        both.act(number)
    who = next(who for who, what in sorted(both.twin.told.items()) if what)
    both.twin.told[who].pop()
    assert both.twin.told[who] != _told(both.cluster.lines)[who]
