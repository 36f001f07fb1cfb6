"""Messages of view changes that are too long for a frame travel as one long payload."""

from __future__ import annotations

import msgspec
import pytest

from zactor.kernel.errors import LocalProtocolError, RemoteProtocolError
from zactor.kernel.ids import NodeId
from zactor.kernel.limits import FRAME_BYTES_MAX
from zactor.kernel.messages.frames import LinkFrame
from zactor.kernel.messages.groups import CohortGroups, GroupBulk, GroupState, Install
from zactor.kernel.messages.views import GroupId, SessionId, ViewId
from zactor.kernel.wire import codec

A = NodeId("a", 1)
VIEW = ViewId(1, A)


def install(members: int) -> Install:
    sessions = tuple(SessionId(A, f"session {number}") for number in range(members))
    state = GroupState("red", GroupId(VIEW, 0), sessions, False)
    return Install(VIEW, (CohortGroups((A,), (state,)),))


def frame(*items: object) -> LinkFrame:
    return LinkFrame(1, 1, 1, 0, 0, False, False, items)  # type: ignore[arg-type] # as typed


def test_a_short_message_stays_as_it_is() -> None:
    assert codec.wrap_group(install(3)) == install(3)


def test_a_long_message_arrives_whole() -> None:
    message = install(150_000)
    bulk = codec.wrap_group(message)
    assert isinstance(bulk, GroupBulk)
    assert len(bulk.payload) > FRAME_BYTES_MAX
    parts = codec.encode_frame(frame(bulk, install(1)))
    assert all(len(part) <= FRAME_BYTES_MAX for part in parts)
    got = codec.decode_inbound(parts)
    assert isinstance(got, LinkFrame)
    assert isinstance(got.items[0], GroupBulk)
    assert codec.unwrap_group(got.items[0]) == message
    assert got.items[1] == install(1)
    assert not codec.is_credited(got.items[0])
    assert codec.size_of(bulk) >= len(bulk.payload)


def test_it_has_no_other_buffers() -> None:
    parts = codec.encode_frame(frame(codec.wrap_group(install(150_000))))
    body = msgspec.msgpack.decode(parts[0])
    bulk = body[-1][0]
    bulk[2] = [*bulk[2], 1]
    with pytest.raises(RemoteProtocolError, match="beside"):
        codec.decode_inbound([msgspec.msgpack.encode(body), *parts[1:], b"x"])


def test_what_is_longer_than_any_message_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MESSAGE_BYTES_MAX", 1_000_000)
    with pytest.raises(LocalProtocolError, match="1000000 allowed"):
        codec.wrap_group(install(150_000))


@pytest.mark.parametrize("payload", [b"", b"\xff", b"\x90"])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="malformed"):
        codec.unwrap_group(GroupBulk(payload))
