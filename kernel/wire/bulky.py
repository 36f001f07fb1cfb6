"""A bulky item: with the long buffers of its payload, on its way to or from a frame."""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel.messages.actors import Ask, Reply, Signal

Buffer = bytes | bytearray | memoryview
"""Bytes that aren't copied on their way out: they must not change until they have left."""


class Bulky:
    """`item` and its out-of-band buffers, in the order in which the pickle asks for them."""

    __slots__ = ("buffers", "item")

    def __init__(self, item: Signal | Ask | Reply, buffers: Sequence[Buffer]) -> None:
        self.item = item
        self.buffers = buffers
