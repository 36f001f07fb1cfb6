"""Contracts: what actors can do, asked once of a node that has their code, and held against words.

An contract belongs to a bundle and a type, so what is known of it stays true whatever a factory is
declared with later; an actor's own bundle says which one is its.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import msgspec

from zactor.kernel import limits
from zactor.kernel.actors.contract import (
    ANYTHING,
    Contract,
    check_arguments,
    check_constructor,
    check_wire,
)
from zactor.kernel.errors import RemoteProtocolError, ZactorError
from zactor.kernel.ids import signal_and_action
from zactor.kernel.messages.operations import (
    AT_WORK,
    CheckBundle,
    DescribeType,
    EmitSignal,
    Operation,
    ToActors,
)
from zactor.kernel.wire import payload
from zactor.kernel.wire.traced import untraced
from zactor.supervisor.operations import constructor_arguments

T = TypeVar("T")

_Key = tuple[str, str]  # bundle, type


class CodedActor(Protocol):
    """An actor that there is or will be, and its code."""

    @property
    def name(self) -> str:
        """Of the actor."""
        ...

    @property
    def type(self) -> str:
        """Of the actor."""
        ...

    @property
    def bundle(self) -> str:
        """Its code."""
        ...

    @property
    def node(self) -> str:
        """Where it is; the code is there, or comes there."""
        ...

    @property
    def installs(self) -> bool:
        """Whether what its code wants is installed for it there."""
        ...


@dataclass(slots=True)
class _Turn:
    """Who waits for one contract: they go on in the order in which they came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Contracts:
    """Knows the contracts of actors, and refuses what isn't a part of them. Kernel's loop only.

    Whoever asks first waits for the node, for CONTRACT_WAIT_S at most; who isn't told in that time
    checks nothing.
    """

    def __init__(self, ask_node: Callable[[str, Operation], Awaitable[object]]) -> None:
        """Ask nodes by `ask_node`, this one too."""
        self._ask_node = ask_node
        self._known: dict[_Key, Contract] = {}
        self._unknown: dict[_Key, float] = {}  # until when it isn't asked for again
        self._turns: dict[_Key, _Turn] = {}

    async def read(self, actor: CodedActor) -> Contract:
        """Return the contract of an actor, from its node.

        Raises:
            ZactorError: it can't be had: the node says why, or isn't there.
        """
        key = (actor.bundle, actor.type)
        if (known := self._known.get(key)) is not None:
            return known
        told = await self._ask_node(actor.node, DescribeType(actor.bundle, actor.type))
        try:
            contract = msgspec.convert(told, Contract)
        except msgspec.ValidationError as error:
            raise RemoteProtocolError(f"{actor.node} told no contract: {error}") from None
        _keep(self._known, key, contract)
        return contract

    async def find(self, actor: CodedActor) -> Contract:
        """Return the contract of an actor; one that has anything where it can't be had."""
        key = (actor.bundle, actor.type)
        turn = self._turns.get(key)
        if turn is None:
            if (settled := self._settled(key)) is not None:
                return settled
            turn = self._turns[key] = _Turn()
        turn.waiting += 1
        try:
            async with turn.lock:
                return self._settled(key) or await self._try_to_read(actor, key)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]

    def _settled(self, key: _Key) -> Contract | None:
        if (known := self._known.get(key)) is not None:
            return known
        now = asyncio.get_running_loop().time()
        return ANYTHING if now < self._unknown.get(key, now) else None

    async def _try_to_read(self, actor: CodedActor, key: _Key) -> Contract:
        try:
            async with asyncio.timeout(limits.CONTRACT_WAIT_S):
                return await self.read(actor)
        except (TimeoutError, ZactorError):  # its node is away, or can't read its class
            until = asyncio.get_running_loop().time() + limits.CONTRACT_AGAIN_S
            _keep(self._unknown, key, until)
            return ANYTHING

    async def check_code(self, actor: CodedActor) -> None:
        """Return when the code of an actor would load on its node, with what it wants there.

        Raises:
            BundleRefused: it wouldn't. Refused: that node installs nothing.
        """
        check = CheckBundle(actor.bundle, actor.type, actor.installs)
        told: object = AT_WORK
        while told == AT_WORK:
            told = await self._ask_node(actor.node, check)

    # -- what may be said --------------------------------------------------------------------
    async def check_message(self, op: ToActors, actor: CodedActor) -> None:
        """Raise where an actor can't be sent that, or can't emit it.

        Raises:
            NoSuchThing: it has no such action, or signal; says which there are.
            UnfitArguments: it can't take these arguments, or they can't be carried.
        """
        contract, who = await self.find(actor), _said(actor)
        if isinstance(op, EmitSignal):
            contract.check_signal(who, op.action)
            shape = contract.signal(op.action)
        else:
            contract.check_action(who, op.action)
            shape = contract.action(op.action)
        body = untraced(op.payload)
        is_plain = body[:1] == payload.PLAIN_MARK
        if shape is not None and is_plain and len(body) <= limits.CHECKED_PAYLOAD_BYTES_MAX:
            args, kwargs = payload.decode(body, (), "data")
            check_arguments(f"{op.action} of {who}", shape, args, kwargs)

    async def check_wire(
        self, emitter: CodedActor | None, reactor: CodedActor | None, wire: str
    ) -> None:
        """Raise as `check_message` where there can be no such wire; None: an end isn't there."""
        signal, action = signal_and_action(wire)
        ends = [
            (_said(end), await self.find(end)) if end is not None else ("", None)
            for end in (emitter, reactor)
        ]
        check_wire(ends[0], signal, ends[1], action)

    async def check_constructor(self, actor: CodedActor, arguments: str) -> None:
        """Raise UnfitArguments where it isn't made with arguments of these names.

        Args: arguments: as text; only what is readable is looked at.
        """
        given = constructor_arguments.to_plain(arguments)
        if isinstance(given, dict):
            check_constructor(await self.find(actor), actor.type, given)


def _keep(table: dict[_Key, T], key: _Key, value: T) -> None:
    table[key] = value
    if len(table) > limits.CONTRACTS_KEPT:
        del table[next(iter(table))]


def _said(actor: CodedActor) -> str:
    return f"{actor.name} ({actor.type})"
