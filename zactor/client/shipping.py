"""Shipping: bundles of what is to be sent, and their way to a node.

What makes them is imported when the first is made: it takes 30 ms, which `zactor ps` needn't wait
for.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

from zactor.client.rows import Row, row_of
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused
from zactor.kernel.messages.operations import Operation, PutPart

if TYPE_CHECKING:
    from zactor.bundles.manifest import Bundle


def build(source: type[Any] | str | os.PathLike[str]) -> Bundle:
    """Return the bundle of a class, a .py file, a folder or a bundle file.

    Raises:
        BundleRefused: there is no actor class in it, or it can't be shipped.
    """
    from zactor.bundles.build import build_bundle

    return build_bundle(source)


def stored(encoded: bytes) -> Bundle:
    """Return the bundle that holds constructor arguments which are too long for a fact."""
    from zactor.bundles.stored_arguments import store_arguments

    return store_arguments(encoded)


async def ship(bundle: Bundle, ask: Callable[[Operation], Awaitable[object]]) -> None:
    """Send what the node that is asked lacks; it says after each part how much it has.

    Raises:
        BundleRefused: it takes no more.
    """
    total = len(bundle.data)

    async def put(offset: int, data: bytes) -> int:
        operation = PutPart(bundle=bundle.identity, offset=offset, total=total, data=data)
        return cast(int, row_of(await ask(operation))["held"])

    held = await put(0, b"")
    while held < total:
        now = await put(held, bundle.data[held : held + limits.PART_BYTES_MAX])
        if now == held:
            raise BundleRefused(f"the node keeps {held} of {total} bytes of the bundle and no more")
        held = now


async def declare(
    kind: type[Any],
    work: Callable[[Callable[[Any], Bundle], Any], Awaitable[Bundle]],
    factories: Callable[[], Awaitable[list[Row]]],
    declare_factory: Callable[[str, Bundle], Awaitable[object]],
) -> str:
    """Declare a class under its name, `Counter` as "counter", unless it is that already.

    Args: work: calls a function that takes its time.
    """
    name = kind.__name__[:1].lower() + kind.__name__[1:]
    bundle = await work(build, kind)
    declared = {row["type"]: row["bundle"] for row in await factories()}
    if declared.get(name) != bundle.identity:
        await declare_factory(name, bundle)
    return name
