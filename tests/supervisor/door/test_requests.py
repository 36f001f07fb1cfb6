"""What a node owes to those who ask at its door."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from live_nodes import live_nodes

from zactor.kernel import limits
from zactor.kernel.errors import Refused, RemoteProtocolError
from zactor.kernel.messages.operations import (
    Events,
    Inspect,
    LookAtPanels,
    Operation,
    Request,
    Subject,
    Watch,
)
from zactor.kernel.wire import codec
from zactor.supervisor.asker import Asker
from zactor.supervisor.door.requests import held_bytes


def test_a_node_called_client_is_a_node(home: Path) -> None:
    async def story() -> None:
        async with live_nodes(home, "m1", "client") as (_, other):
            peer = other.members.peer("m1")
            assert peer is not None
            inspect = Inspect(what=Subject.DOCTOR, argument="")
            rows = await other.calls.ask(peer, inspect, 5.0)
            assert {row["node"] for row in rows} == {"m1"}, "what m1 knows alone"
            rows = await other.dispatch.run(inspect, Asker.client_at("client"))
            assert isinstance(rows, list)
            assert {row.node for row in rows} == {"m1", "client"}

    asyncio.run(story())


def test_who_asks_is_named_by_what_it_is() -> None:
    assert Asker.client_at("m1").author == "client@m1"
    assert Asker.client_at("m1", who="ann@lab1 zactor").author == "ann@lab1 zactor"
    assert Asker.node_called("m1").author == "m1"
    assert Asker.node_called("client") != Asker.client_at("client")


@pytest.mark.parametrize(
    "who",
    ["n1", "n1@1", "ann@lab1", "ann@lab1 a b", "ann@lab1 \x1b[2J", f"ann@lab1 {'z' * 128}", "@ x"],
)
def test_nobody_passes_for_a_node_or_writes_to_a_terminal_by_its_name(who: str) -> None:
    with pytest.raises(Refused, match="is nobody's name"):
        Asker.client_at("m1", who=who)


def kinds(kind: msgspec.inspect.Type) -> Iterator[type[msgspec.inspect.Type]]:
    """Yield the kinds of all that a type holds."""
    yield type(kind)
    match kind:
        case msgspec.inspect.StructType():
            for field in kind.fields:
                yield from kinds(field.type)
        case msgspec.inspect.DictType():
            yield from kinds(kind.key_type)
            yield from kinds(kind.value_type)
        case msgspec.inspect.VarTupleType():
            yield from kinds(kind.item_type)
        case msgspec.inspect.TupleType():
            for each in kind.item_types:
                yield from kinds(each)
        case msgspec.inspect.UnionType():
            for each in kind.types:
                yield from kinds(each)


@pytest.mark.parametrize("operation", get_args(Operation), ids=lambda kind: kind.__name__)
def test_all_that_an_operation_may_hold_is_counted(operation: type) -> None:
    i = msgspec.inspect
    of_one_size = {i.IntType, i.FloatType, i.BoolType, i.EnumType, i.NoneType}
    counted = {i.StrType, i.BytesType}
    looked_into = {i.StructType, i.DictType, i.VarTupleType, i.TupleType, i.UnionType}
    assert set(kinds(i.type_info(operation))) <= of_one_size | counted | looked_into


def test_what_is_known_already_is_counted_by_its_names() -> None:
    names = {f"actor-{number:06}": number for number in range(1_000)}
    assert held_bytes(LookAtPanels("n1", names, 1.0)) == 2 + 1_000 * (
        12 + limits.DOOR_KNOWN_BYTES_EACH
    )


def test_more_names_than_anybody_knows_are_malformed() -> None:
    most = {f"{number}": 1 for number in range(limits.DOOR_KNOWN_MAX)}
    for known, is_fine in ((most, True), ({**most, "one": 1}, False)):
        for operation in (Watch(known, 0.0), LookAtPanels("n1", known, 0.0), Events(known, 0.0)):
            frames = [msgspec.msgpack.encode(Request(1, operation))]
            if is_fine:
                assert codec.decode_inbound(frames) == Request(1, operation)
            else:
                with pytest.raises(RemoteProtocolError, match="malformed"):
                    codec.decode_inbound(frames)
