"""What a type checker says of actors: exactly the lines marked E are errors. Not run."""

from __future__ import annotations

from typing import assert_type

from zactor import Actor, BlockingMaster, Master, Ref, Reply, action, signal
from zactor.kernel import Kernel
from zactor.kernel.runtime.kernel import new


class Counter(Actor, dispatcher="thread", mailbox_max=100, mailbox_policy="reject"):
    updateVal = signal(int)
    named = signal(str, int)
    bare = signal()

    def __init__(self, start: int = 0) -> None:
        self.value = start

    async def on_start(self) -> None:
        self.log.info("started", actor=self.name, node=self.node)

    def on_stop(self, reason: str) -> None: ...

    @action
    def inc(self, by: int = 1) -> int:
        self.value += by
        self.updateVal.emit(self.value)
        self.updateVal.emit("x")  # E
        self.updateVal.emit()  # E
        self.named.emit("a", 1)
        self.named.emit(1, "a")  # E
        self.bare.emit()
        self.bare.emit(1)  # E
        self.send_signal("updateVal", 3)
        self.sendSignal("updateVal", 3)
        return self.value

    @action
    async def slow(self, label: str) -> str:
        other = self.ref("c2", Counter)
        assert_type(await other.inc(1), int)
        await other.inc("x")  # E
        await self.ref("anything").whatever(1, 2, three=3)
        self.inc(1)
        return label


class Gui(Actor):
    inc = signal(int)

    @action
    def updateVal(self, value: int) -> None: ...

    @action
    def text(self, value: str) -> None: ...

    @action
    def named(self, who: str, number: int, more: float = 1.0) -> None: ...

    @action
    def bare(self, value: int = 1) -> None: ...

    def do_action(self, name: str, args: tuple[object, ...]) -> object:
        return super().do_action(name, args)


class Wrong(Actor, dispatcher="green"):  # E
    pass


async def use(k: Kernel) -> None:
    c = k.spawn(new(Counter, start=1), name="c1")
    d = k.spawn(Counter, 5)
    e = k.spawn(Counter, 5, name="c3")
    g = k.spawn(Gui, name="g1")
    assert_type(c, Ref[Counter])
    assert_type(e, Ref[Counter])
    assert_type(c.inc(5), Reply[int])
    assert_type(await c.inc(5), int)
    assert_type(c.inc(5).result(timeout=1.0), int)
    assert_type(await d.slow("x"), str)
    await c.inc.opts(timeout=0.2)(1)
    c.inc.tell(by=2)
    k.wire(c.updateVal, g.updateVal)
    k.wire(c.named, g.named)
    k.wire(c.bare, g.bare)
    k.wire(g.inc, c.inc)
    k.wire(c.updateVal, g.text)  # E
    k.wire(c.named, g.updateVal)  # E
    k.wire(c.bare, g.updateVal)  # E
    k.spawn(new(Counter, start="x"))  # E
    k.spawn(Counter, "x")  # E
    await c.inc("no")  # E
    c.inc.tell("no")  # E
    await c.inc.opts(timeout=1)("no")  # E
    await c.nope()  # E
    assert_type(c.inc(5).result(), str)  # E
    k.wire(g.updateVal, c.inc)  # E


class Made(Actor):
    def __init__(self, start: int, *, unit: str = "C") -> None: ...

    @action
    def get(self) -> int:
        return 1


async def deploy(m: Master, b: BlockingMaster) -> None:
    made = await m.deploy_actor(Made, "m1", "n1", 5, unit="K")
    assert_type(made, Ref[Made])
    assert_type(await made.get(), int)
    await m.deploy_actor("made", "m1", "n1", anything=5)
    await m.deploy_actor(Made, "m1", "n1", start="x")  # E
    await m.deploy_actor(Made, "m1", "n1", strt=5)  # E
    await m.deploy_actor(Made, "m1", "n1")  # E
    await m.deploy_actor("made", "m1", "n1", 5)  # E
    await m.deploy_actor(int, "m1", "n1")  # E
    b.deploy_actor(Made, "m1", "n1", start=5)
    b.deploy_actor(Made, "m1", "n1", start="x")  # E
    new(Made, 5, unit="K")
    new(Made, unit="K")  # E
    new(Made, 5, unit=1)  # E


def wires(k: Kernel, made: Ref[Counter], gui: Ref[Gui]) -> None:
    k.wire(made.updateVal, gui.bare)  # two names
    k.wire(made.named, gui.bare)  # E
