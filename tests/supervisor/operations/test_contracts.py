"""supervisor/operations/contracts.py: asked for once, in turn, and never in the way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.actors.contract import ANYTHING, Contract
from zactor.kernel.errors import NoSuchThing, NotReachable, UnfitArguments
from zactor.kernel.messages.operations import AskActor, DescribeType, EmitSignal, Operation
from zactor.kernel.wire.payload import PLAIN_MARK, encode_whole_call
from zactor.supervisor.operations.contracts import Contracts


@dataclass(frozen=True)
class Coded:
    name: str = "c1"
    type: str = "counter"
    bundle: str = "sha256:1"
    node: str = "n2"


SAID = Contract(class_name="Counter", actions=["inc(by: int = 1)"], signals=["val(int)"])


class Network:
    """A node that tells a contract when it is let."""

    def __init__(self) -> None:
        self.asked: list[DescribeType] = []
        self.gate = asyncio.Event()
        self.away = False
        self.contracts = Contracts(self.ask)

    async def ask(self, node: str, operation: Operation) -> object:
        assert isinstance(operation, DescribeType)
        assert node == "n2"
        self.asked.append(operation)
        await self.gate.wait()
        if self.away:
            raise NotReachable("n2 is away")
        return msgspec.to_builtins(SAID)


def test_who_waits_for_one_contract_goes_on_in_turn_and_it_is_asked_for_once() -> None:
    async def story() -> None:
        network, came = Network(), list[int]()

        async def find(number: int) -> None:
            assert (await network.contracts.find(Coded())).class_name == "Counter"
            came.append(number)

        tasks = [asyncio.ensure_future(find(number)) for number in range(3)]
        await asyncio.sleep(0)
        network.gate.set()
        for number in range(3, 20):  # while the first go on, and after
            tasks.append(asyncio.ensure_future(find(number)))
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert came == list(range(20))
        assert network.asked == [DescribeType("sha256:1", "counter")]
        await network.contracts.find(Coded(bundle="sha256:2"))
        assert len(network.asked) == 2, "newer code has a contract of its own"

    asyncio.run(story())


def test_of_a_node_that_is_away_nothing_is_refused_and_it_is_not_asked_each_time() -> None:
    async def story() -> None:
        network = Network()
        network.away = True
        network.gate.set()
        found = await asyncio.gather(*(network.contracts.find(Coded()) for _ in range(5)))
        assert found == [ANYTHING] * 5
        assert len(network.asked) == 1
        with pytest.raises(NotReachable):
            await network.contracts.read(Coded())
        network.away = False
        assert await network.contracts.read(Coded()) == SAID
        assert await network.contracts.find(Coded()) == SAID

    asyncio.run(story())


def test_who_isnt_told_in_time_checks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONTRACT_WAIT_S", 0.01)

    async def story() -> None:
        assert await Network().contracts.find(Coded()) is ANYTHING

    asyncio.run(story())


def test_only_short_plain_payloads_are_looked_at() -> None:
    long = encode_whole_call(("x" * limits.CHECKED_PAYLOAD_BYTES_MAX,), {}, "data")
    pickled = encode_whole_call(("x",), {}, "pickle")
    wrong = encode_whole_call(("x",), {}, "data")
    assert wrong[:1] == long[:1] == PLAIN_MARK != pickled[:1]

    async def story() -> None:
        network = Network()
        network.gate.set()
        check = network.contracts.check_message
        for payload in (long, pickled):
            await check(AskActor("c1", "inc", payload, True), Coded())
            await check(EmitSignal("c1", "val", payload), Coded())
        with pytest.raises(UnfitArguments, match=r"inc of c1 \(counter\) takes"):
            await check(AskActor("c1", "inc", wrong, True), Coded())
        with pytest.raises(UnfitArguments, match=r"val of c1 \(counter\) takes"):
            await check(EmitSignal("c1", "val", wrong), Coded())
        with pytest.raises(NoSuchThing):
            await check(EmitSignal("c1", "inc", wrong), Coded())

    asyncio.run(story())
