"""What is said of an actor that is nowhere: why, where that is known."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import NoSuchActor, NotDelivered
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.runtime import Runtime

NOBODY = "no such actor: t"
WHY = "t was lost with n2"


def test_all_that_is_meant_for_who_is_nowhere_ends_with_why_it_is_for_as_long_as_it_is() -> None:
    dead: list[DeadLetter] = []
    runtime = Runtime(node="n1", dead_letter=dead.append)
    try:
        for why, words in (("", NOBODY), (WHY, WHY), ("", NOBODY)):
            runtime.place("t", None, why)
            runtime.tell("t", "act", (), {})
            assert dead[-1].reason == words
            with pytest.raises(NotDelivered, match=words):
                runtime.ask("t", "act", (), {}, 1.0, None).result()
            with pytest.raises(NoSuchActor, match=words):
                runtime.request("t", "act", b"", None)
    finally:
        runtime.abandon()
    assert len(dead) == 3
