"""Contracts: what actors can do, asked once of a node that has their code, and held against words.

An contract belongs to a bundle and a type, so what is known of it stays true whatever a factory is
declared with later; an actor's own bundle says which one is its.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.actors.contract import (
    ANYTHING,
    Contract,
    check_arguments,
    check_constructor,
    check_wire,
)
from zactor.kernel.errors import (
    NotReachable,
    OutcomeUnknown,
    RemoteProtocolError,
    TimedOut,
    ZactorError,
)
from zactor.kernel.ids import signal_and_action
from zactor.kernel.messages.operations import DescribeType, EmitSignal, Operation, ToActors
from zactor.kernel.wire import payload
from zactor.supervisor.operations import constructor_arguments

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


@dataclass(slots=True)
class _Turn:
    """Who waits for one contract: all of them get it, or none, in the order in which they came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    in_vain: bool = False


class Contracts:
    """Knows the contracts of actors, and refuses what isn't a part of them. Kernel's loop only.

    Whoever asks first waits for the node, for CONTRACT_WAIT_S at most; who isn't told in that time
    checks nothing.
    """

    def __init__(self, ask_node: Callable[[str, Operation], Awaitable[object]]) -> None:
        """Ask nodes by `ask_node`, this one too."""
        self._ask_node = ask_node
        self._known: dict[_Key, Contract] = {}
        self._turns: dict[_Key, _Turn] = {}

    async def read(self, actor: CodedActor) -> Contract:
        """Return the contract of an actor, from its node.

        Raises:
            ZactorError: it can't be had: the node says why, or isn't there.
        """
        key = (actor.bundle, actor.type)
        if key not in self._known or self._known[key] is ANYTHING:
            told = await self._ask_node(actor.node, DescribeType(actor.bundle, actor.type))
            try:
                self._keep(key, msgspec.convert(told, Contract))
            except msgspec.ValidationError as error:
                raise RemoteProtocolError(f"{actor.node} told no contract: {error}") from None
        return self._known[key]

    async def find(self, actor: CodedActor) -> Contract:
        """Return the contract of an actor; one that has anything where it can't be had."""
        key = (actor.bundle, actor.type)
        turn = self._turns.get(key)
        if turn is None:
            if (known := self._known.get(key)) is not None:
                return known
            turn = self._turns[key] = _Turn()
        turn.waiting += 1
        try:
            async with turn.lock:
                if key not in self._known and not turn.in_vain:
                    turn.in_vain = not await self._is_told(actor, key)
                return self._known.get(key, ANYTHING)
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]

    async def _is_told(self, actor: CodedActor, key: _Key) -> bool:
        try:
            async with asyncio.timeout(limits.CONTRACT_WAIT_S):
                await self.read(actor)
        except (TimeoutError, NotReachable, OutcomeUnknown, TimedOut):
            return False  # it may be told another time
        except ZactorError:  # its class can't be read there, nor will it be
            self._keep(key, ANYTHING)
        return True

    def _keep(self, key: _Key, contract: Contract) -> None:
        self._known[key] = contract
        if len(self._known) > limits.CONTRACTS_KEPT:
            del self._known[next(iter(self._known))]

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
        is_plain = op.payload[:1] == payload.PLAIN_MARK
        if shape is not None and is_plain and len(op.payload) <= limits.CHECKED_PAYLOAD_BYTES_MAX:
            args, kwargs = payload.decode(op.payload, (), "data")
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


def _said(actor: CodedActor) -> str:
    return f"{actor.name} ({actor.type})"
