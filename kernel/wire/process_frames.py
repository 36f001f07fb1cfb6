"""Process frames: messages between a node and an actor's process as bytes of a stream.

A frame is its length in 4 bytes, then the message as msgpack.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, RemoteProtocolError
from zactor.kernel.messages.actor_process import FromProcess, ToProcess

M = TypeVar("M")

_LENGTH_BYTES = 4
_encoder = msgspec.msgpack.Encoder()


def frame_of(message: ToProcess | FromProcess) -> bytes:
    """Return a message as a frame.

    Raises:
        ConfigError: it is too long.
    """
    body = _encoder.encode(message)
    if len(body) > limits.PROCESS_FRAME_BYTES_MAX:
        most = limits.PROCESS_FRAME_BYTES_MAX
        raise ConfigError(f"a message of {len(body)} bytes to or from a process: at most {most}")
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameReader(Generic[M]):
    """Collects the bytes of a stream, and gives the messages that are whole."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[M]) -> None:
        self._decoder = decoder
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[M]:
        """Take what arrived; return the messages that it completes.

        Raises:
            RemoteProtocolError: that is none.
        """
        buffer = self._bytes
        buffer += data
        found: list[M] = []
        at = 0
        while len(buffer) - at >= _LENGTH_BYTES:
            length = int.from_bytes(buffer[at : at + _LENGTH_BYTES], "big")
            if length > limits.PROCESS_FRAME_BYTES_MAX:
                raise RemoteProtocolError(f"a frame of {length} bytes")
            end = at + _LENGTH_BYTES + length
            if len(buffer) < end:
                break
            try:
                found.append(self._decoder.decode(memoryview(buffer)[at + _LENGTH_BYTES : end]))
            except msgspec.MsgspecError as error:
                raise RemoteProtocolError(f"no message of an actor's process: {error}") from None
            at = end
        del buffer[:at]
        return found


def from_process() -> FrameReader[FromProcess]:
    """What a node reads."""
    return FrameReader(msgspec.msgpack.Decoder(FromProcess))


def to_process() -> FrameReader[ToProcess]:
    """What an actor's process reads."""
    return FrameReader(msgspec.msgpack.Decoder(ToProcess))
