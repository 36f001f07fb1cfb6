"""Deploying: what is asked of a node so that an actor is made: its type, arguments, their code."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zactor.client import shipping
from zactor.client.checked import by_name
from zactor.client.rows import Row, rows_of
from zactor.kernel import limits
from zactor.kernel.actors.actor import Actor
from zactor.kernel.messages.operations import DeployActor, DeployActors, Operation
from zactor.kernel.wire.payload import STORED_MARK

Order = tuple[type[Actor] | str, str, str, Mapping[str, object]]
"""Type, name, node and arguments of an actor."""

_HEAD_BYTES = 32  # of an order in a request, beside what it says


@dataclass(frozen=True, slots=True)
class DeployRequests:
    """Makes the operations, and ships what they need before."""

    encode: Callable[[tuple[object, ...], dict[str, object]], bytes]
    work: Callable[[Callable[[Any], Any], Any], Awaitable[Any]]  # does what takes its time
    ask: Callable[[Operation], Awaitable[object]]
    factories: Callable[[], Awaitable[list[Row]]]
    declare_factory: Callable[[str, Any], Awaitable[object]]

    async def order(
        self,
        type: Any,
        name: str,
        node: str,
        args: tuple[object, ...],
        arguments: Mapping[str, object],
        restart: str = "",
        intensity: str = "",
        install: bool = False,
    ) -> DeployActor:
        """Return what makes an actor; a class is declared, long arguments are at the node then."""
        if isinstance(type, str):
            named = type
            given = by_name(named, None, args, dict(arguments))
        else:
            given = by_name(type.__name__, type, args, dict(arguments))
            named = await self._declared(type)
        encoded = self.encode((), given)
        if len(encoded) > limits.FACT_ARGUMENTS_BYTES_MAX:
            stored = await self.work(shipping.stored, encoded)
            await shipping.ship(stored, self.ask)
            encoded = STORED_MARK + stored.identity.encode("ascii")
        return DeployActor(named, name, node, encoded, restart, intensity, install)

    async def many(
        self, actors: Iterable[Order], ask: Callable[[Operation], Awaitable[object]]
    ) -> list[Row]:
        """Have them made, as many by one request as it holds; return the rows of the answers.

        Args: ask: waits as long as users' code takes.
        """
        names: dict[Any, str] = {}  # of classes: each is bundled and declared once
        orders = []
        for type_, name, node, arguments in actors:
            if not isinstance(type_, str):
                by_name(type_.__name__, type_, (), dict(arguments))
                type_ = names.get(type_) or names.setdefault(type_, await self._declared(type_))
            orders.append(await self.order(type_, name, node, (), arguments))
        rows = list[Row]()
        for part in _parts(orders):
            rows += rows_of(await ask(DeployActors(part)))
        return rows

    async def _declared(self, kind: type[Actor]) -> str:
        return await shipping.declare(kind, self.work, self.factories, self.declare_factory)


def _parts(orders: list[DeployActor]) -> Iterator[tuple[DeployActor, ...]]:
    """Cut them up so that each part fits into one request."""
    part, size = list[DeployActor](), 0
    for each in orders:
        length = len(each.arguments) + len(each.type + each.name + each.node) + _HEAD_BYTES
        if part and size + length > limits.CLIENT_ARGUMENTS_BYTES_MAX:
            yield tuple(part)
            part, size = [], 0
        part.append(each)
        size += length
    if part:
        yield tuple(part)
