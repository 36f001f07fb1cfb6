"""SessionBacklogs and SessionCredit: who is behind, and what the others are told."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import LocalProtocolError, RemoteProtocolError
from zactor.kernel.groups import effects as out
from zactor.kernel.groups.credit import SessionBacklogs, SessionCredit
from zactor.kernel.groups.process_groups import ProcessGroups
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import BehindSessions
from zactor.kernel.messages.views import View, ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)
PAIR = View(id=ViewId(1, A), members=(A, B))


def give(backlogs: SessionBacklogs, session: str, count: int, size: int = 0) -> None:
    for _ in range(count):
        backlogs.delivered(session, 1, size)


def test_a_session_is_behind_beyond_its_limit_and_until_it_is_down_to_half() -> None:
    backlogs = SessionBacklogs(Settings(backlog_messages=4))
    give(backlogs, "s", 4)
    assert backlogs.behind == set()
    give(backlogs, "s", 1)
    assert backlogs.behind == {"s"}
    backlogs.consumed((("s", 2, 0),))
    assert backlogs.behind == {"s"}
    backlogs.consumed((("s", 1, 0),))
    assert backlogs.behind == set()


def test_one_wrong_number_changes_nothing_of_any_session() -> None:
    backlogs = SessionBacklogs(Settings(backlog_messages=1))
    give(backlogs, "s", 2)
    give(backlogs, "t", 1, 7)
    for wrong in (("t", 2, 0), ("t", 1, 8), ("t", -1, 0), ("nobody", 1, 0)):
        with pytest.raises(LocalProtocolError, match="consumed by session"):
            backlogs.consumed((("s", 2, 0), wrong))
    assert backlogs.behind == {"s"}
    backlogs.consumed((("nobody", 0, 0), ("t", 1, 7), ("s", 2, 0)))
    assert backlogs.behind == set()


def test_while_all_together_are_too_far_behind_each_has_a_share_only() -> None:
    limits = Settings(backlog_messages=8, backlog_all_messages=10, backlog_share_messages=2)
    backlogs = SessionBacklogs(limits)
    give(backlogs, "one", 8)
    give(backlogs, "small", 2)
    assert backlogs.behind == set()
    give(backlogs, "other", 1)
    assert backlogs.behind == {"one"}
    assert backlogs.has_room("other", 0)
    assert not backlogs.has_room("small", 0)
    give(backlogs, "other", 2)
    assert backlogs.behind == {"one", "other"}
    backlogs.consumed((("one", 8, 0),))  # 5 are left: half of what all may have
    assert backlogs.behind == set()
    give(backlogs, "small", 5)
    assert backlogs.behind == set(), "the usual limit counts again"


def test_a_session_that_closes_is_nobodys_burden_any_more() -> None:
    limits = Settings(backlog_messages=8, backlog_all_messages=10, backlog_share_messages=2)
    backlogs = SessionBacklogs(limits)
    give(backlogs, "one", 8)
    give(backlogs, "other", 4)
    assert backlogs.behind == {"one", "other"}
    backlogs.closed("one")
    assert backlogs.behind == set()
    backlogs.closed("one")


def test_what_is_known_already_is_not_told_again() -> None:
    credit = SessionCredit(A, PAIR, Settings(backlog_messages=1))
    assert credit.look(is_frozen=False) == []
    give(credit.backlogs, "s", 2)
    assert credit.look(is_frozen=True) == []
    told = out.Send((B,), BehindSessions(("s",)))
    assert credit.look(is_frozen=False) == [told]
    assert credit.look(is_frozen=False) == []
    credit.enter_view(View(id=ViewId(2, A), members=(A, B, C)))
    again = out.Send((B, C), BehindSessions(("s",)))
    assert credit.look(is_frozen=False) == [out.CreditGiven(), again]
    credit.backlogs.consumed((("s", 2, 0),))
    free = out.Send((B, C), BehindSessions(()))
    assert credit.look(is_frozen=False) == [out.CreditGiven(), free]
    credit.enter_view(View(id=ViewId(3, A), members=(A, B)))
    assert credit.look(is_frozen=False) == [out.Send((B,), BehindSessions(()))]


def test_who_is_not_in_the_view_makes_no_group_full() -> None:
    credit = SessionCredit(A, PAIR, Settings())
    groups = ProcessGroups(A, PAIR.id)
    for node in (B, C):
        credit.hear(node, BehindSessions(("s",)))
    assert credit.is_full(("#s#b",), groups)
    assert not credit.is_full(("#s#c", "red"), groups)
    credit.enter_view(View(id=ViewId(2, A), members=(A, C)))
    assert not credit.is_full(("#s#b",), groups)
    assert credit.is_full(("#s#c",), groups), "it may have installed the view before us"


def test_names_that_no_node_can_mean_are_refused_and_change_nothing() -> None:
    credit = SessionCredit(A, PAIR, Settings(sessions_max=2))
    groups = ProcessGroups(A, PAIR.id)
    credit.hear(B, BehindSessions(("s",)))
    for wrong in (("",), ("x" * 129,), ("a", "b", "c")):
        with pytest.raises(RemoteProtocolError):
            credit.hear(B, BehindSessions(wrong))
    assert credit.is_full(("#s#b",), groups)
    credit.gone(B)
    assert not credit.is_full(("#s#b",), groups)
    assert credit.look(is_frozen=False) == [out.CreditGiven()]
