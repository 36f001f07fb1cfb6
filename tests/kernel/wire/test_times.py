"""Times in messages: what is no number is malformed, since no clock could be compared with it."""

from __future__ import annotations

import math

import msgspec
import pytest

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.operations import (
    DestroyActor,
    LookAtPanels,
    Operation,
    ReadOutput,
    Request,
    Watch,
)
from zactor.kernel.wire import codec


@pytest.mark.parametrize(
    "operation",
    [
        Watch({}, math.nan),
        LookAtPanels("n1", {}, math.nan),
        ReadOutput("n1", "", 0, math.nan, 0.0),
        ReadOutput("n1", "", 0, 0.0, math.nan),
        DestroyActor("c1", todo=False, drain_s=math.nan),
    ],
)
def test_a_time_that_is_none_is_malformed(operation: Operation) -> None:
    for request in (Request(1, operation), Request(1, Watch({}, 0.0), timeout_s=math.nan)):
        with pytest.raises(RemoteProtocolError, match="malformed"):
            codec.decode_inbound([msgspec.msgpack.encode(request)])
