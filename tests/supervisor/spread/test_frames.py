"""Requests as bytes, cut anywhere; what goes as one parcel."""

from __future__ import annotations

import random

import pytest
from raw_spread import AGREED, JOIN, request

from zactor.kernel.messages.service import Service
from zactor.supervisor.spread.frames import Data, FrameError, FrameReader, Join, alike

OWN = "#a#n1"


def data(payload: bytes, group: str = "g", service: Service = Service.AGREED) -> Data:
    return Data(service, False, (group,), 0, payload)


@pytest.mark.parametrize("seed", range(50))
def test_requests_come_whole_however_they_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    whole = request(JOIN, OWN, ("g",))
    whole += b"".join(request(AGREED, OWN, ("g",), bytes(n)) for n in (0, 1, 31, 2_000))
    reader = FrameReader(OWN)
    found = []
    while whole:
        cut = chance.choice((1, 7, 48, 100, 3_000))
        found += reader.feed(whole[:cut])
        whole = whole[cut:]
    assert found == [Join("g"), *(data(bytes(n)) for n in (0, 1, 31, 2_000))]
    assert not reader.waiting


def test_what_came_before_a_bad_frame_is_not_given_again() -> None:
    reader = FrameReader(OWN)
    with pytest.raises(FrameError, match="another"):
        reader.feed(request(JOIN, OWN, ("g",)) + request(JOIN, "#b#n1", ("g",)))


@pytest.mark.parametrize(
    ("requests", "count"),
    [
        ([data(b"1"), data(b"2"), data(b"3")], 3),
        ([data(b"1"), data(b"2", "h"), data(b"3")], 1),
        ([data(b"1"), Join("g"), data(b"3")], 1),
        ([data(bytes(60)), data(bytes(60))], 1),
        ([data(bytes(200)), data(b"")], 1),
        ([data(b"", service=Service.UNRELIABLE)] * 2, 1),
        ([data(b"")] * 9, 8),
    ],
)
def test_what_is_alike_goes_together(requests: list[Data | Join], count: int) -> None:
    first = requests[0]
    assert isinstance(first, Data)
    found = alike(requests, 8, 100)
    assert len(found) == count
    assert found[0] == first.payload
