"""Process groups and sessions."""

from __future__ import annotations

import pytest

from zactor.kernel import limits
from zactor.kernel.errors import LocalProtocolError
from zactor.kernel.groups import events
from zactor.kernel.groups.effects import Cause, GroupLeft, GroupTransitional, GroupView
from zactor.kernel.groups.process_groups import ProcessGroups, private_group
from zactor.kernel.groups.sessions import Sessions
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import MARKED_BELOW
from zactor.kernel.messages.groups import CohortGroups, GroupItem, GroupPacket, Kind
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import GroupId, SessionId, ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)
OLD, NEW = ViewId(1, A), ViewId(2, A)
ANN, BOB = SessionId(A, "ann"), SessionId(B, "bob")


def change(
    kind: Kind, who: SessionId, ticket: int, *groups: str, discard: bool = False
) -> GroupPacket:
    return GroupPacket(
        view=OLD,
        sender=who.node,
        sequence=ticket,
        ticket=ticket,
        service=Service.AGREED,
        kind=kind,
        line=0,
        items=(GroupItem(ticket, Service.AGREED, who.session, groups, discard, 0, b""),),
    )


def red(*members: SessionId) -> ProcessGroups:
    groups = ProcessGroups(A, OLD)
    for ticket, member in enumerate(members, 1):
        groups.apply(change(Kind.JOIN, member, ticket, "red"))
    return groups


def test_a_join_is_told_to_the_members_here() -> None:
    groups = red(ANN)
    assert groups.apply(change(Kind.JOIN, BOB, 2, "red")) == [
        GroupView("red", GroupId(OLD, 1), (ANN, BOB), Cause.JOIN, BOB, (), -1, ("ann",))
    ]
    assert groups.apply(change(Kind.JOIN, BOB, 3, "red")) == []
    assert groups.members("red") == (ANN, BOB)
    assert groups.members("blue") == ()


def test_a_group_elsewhere_is_known_and_not_told() -> None:
    groups = ProcessGroups(A, OLD)
    assert groups.apply(change(Kind.JOIN, BOB, 1, "red")) == []
    assert groups.members("red") == (BOB,)


def test_who_leaves_hears_that_it_is_out() -> None:
    groups = red(ANN)
    assert groups.apply(change(Kind.LEAVE, ANN, 2, "red")) == [GroupLeft("red", "ann")]
    assert groups.apply(change(Kind.LEAVE, ANN, 3, "red")) == []
    assert groups.members("red") == ()


def test_a_disconnect_leaves_every_group() -> None:
    groups = red(ANN, BOB)
    groups.apply(change(Kind.JOIN, BOB, 3, "blue"))
    (told,) = groups.apply(change(Kind.DISCONNECT, BOB, 4))
    assert isinstance(told, GroupView)
    assert (told.group, told.cause, told.changed) == ("red", Cause.DISCONNECT, BOB)
    assert groups.members("blue") == ()


def test_recipients_are_the_sessions_here_each_once() -> None:
    groups = red(ANN, BOB)
    groups.apply(change(Kind.JOIN, ANN, 3, "blue"))
    both = change(Kind.DATA, BOB, 4, "red", "blue", "green", private_group(A, "zoe"), "#ann#b")
    assert groups.recipients(both, {"ann", "zoe"}.__contains__) == (("ann", "zoe"),)
    own = change(Kind.DATA, ANN, 5, "red", discard=True)
    assert groups.recipients(own, {"ann"}.__contains__) == ((),)
    changed = change(Kind.JOIN, BOB, 6, "red")
    assert groups.recipients(changed, {"ann"}.__contains__) == ((),)


def test_routes_are_forgotten_when_a_group_or_a_session_changes() -> None:
    groups, is_open = red(), {"zoe"}
    to = change(Kind.DATA, BOB, 4, "red", "#zoe#a")
    assert groups.recipients(to, is_open.__contains__) == (("zoe",),)
    groups.apply(change(Kind.JOIN, ANN, 5, "red"))
    assert groups.recipients(to, is_open.__contains__) == (("ann", "zoe"),)
    is_open.clear()
    groups.forget_routes()
    assert groups.recipients(to, is_open.__contains__) == (("ann",),)


def test_only_so_many_routes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUP_ROUTES_KEPT", 2)
    groups = red(ANN)
    for name in ("red", "blue", "green", "red"):
        found = groups.recipients(change(Kind.DATA, BOB, 4, name), {"ann"}.__contains__)
        assert found == ((("ann",),) if name == "red" else ((),))
    assert len(groups._routes) <= 2


def test_only_groups_that_lose_somebody_get_the_signal() -> None:
    groups = red(ANN, BOB)
    groups.apply(change(Kind.JOIN, ANN, 3, "blue"))
    told = groups.transitional((A,), NEW, (A, C))
    assert told == [GroupTransitional("red", GroupId(OLD, 1), ("ann",))]


def test_who_joins_after_the_signal_gets_its_own() -> None:
    groups = red(ANN, BOB)
    groups.transitional((A,), NEW, (A, C))
    zoe = SessionId(A, "zoe")
    told = groups.apply(change(Kind.JOIN, zoe, 3, "red"))
    assert told[1] == GroupTransitional("red", GroupId(NEW, -2), ("zoe",))


def test_a_group_brought_whole_and_alone_is_not_told() -> None:
    groups = red(ANN)
    groups.transitional((A,), NEW, (A, B))
    brought = CohortGroups((A,), groups.states())
    assert groups.install(NEW, (brought, CohortGroups((B,), ()))) == []
    assert groups.states()[0].id == GroupId(OLD, 0)


def test_the_index_grows_by_one_with_each_change_whatever_else_happens() -> None:
    """Also over an emptied group, and over a view that didn't concern it."""
    groups = red(ANN)
    seen = [groups.states()[0].id]
    for ticket, (kind, who, group) in enumerate(
        [
            (Kind.JOIN, BOB, "blue"),
            (Kind.JOIN, BOB, "red"),
            (Kind.LEAVE, BOB, "red"),
            (Kind.LEAVE, ANN, "red"),
            (Kind.JOIN, ANN, "red"),
        ],
        2,
    ):
        groups.apply(change(kind, who, ticket, group))
        state = [each for each in groups.states() if each.group == "red"]
        if group == "red" and state:
            seen.append(state[0].id)
    assert [(id.view, id.index) for id in seen] == [(OLD, 0), (OLD, 1), (OLD, 2), (OLD, 4)]
    groups.transitional((A, B), NEW, (A, B, C))
    groups.install(NEW, (CohortGroups((A, B), groups.states()), CohortGroups((C,), ())))
    assert groups.states()[1].id == GroupId(OLD, 4), "it is whole: nobody was told"
    groups.apply(change(Kind.JOIN, BOB, 1, "red"))
    assert groups.states()[1].id == GroupId(NEW, 5)


def test_ids_never_repeat_however_many_groups_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "GROUP_ENDED_KEPT", 2)
    groups, seen = red(), set()
    for turn in range(5):
        for name in ("red", "blue", "green"):
            groups.apply(change(Kind.JOIN, ANN, turn, name))
            (state,) = groups.states()
            assert (name, state.id) not in seen
            seen.add((name, state.id))
            assert groups.copy().states() == groups.states()
            groups.apply(change(Kind.LEAVE, ANN, turn, name))
    assert len(groups._ended) <= 2


def test_a_merge_is_told_with_its_sets() -> None:
    here, there = red(ANN), red(BOB)
    here.transitional((A,), NEW, (A, B))
    cohorts = (CohortGroups((A,), here.states()), CohortGroups((B,), there.states()))
    assert here.install(NEW, cohorts) == [
        GroupView(
            "red",
            GroupId(NEW, 0),
            (ANN, BOB),
            Cause.NETWORK,
            None,
            ((ANN,), (BOB,)),
            0,
            ("ann",),
        )
    ]


def test_a_group_whose_members_are_all_lost_ends() -> None:
    groups = red(BOB)
    groups.transitional((A,), NEW, (A,))
    assert groups.install(NEW, (CohortGroups((A,), groups.states()),)) == []
    assert groups.states() == ()


def test_a_copy_changes_apart() -> None:
    groups = red(ANN)
    other = groups.copy()
    other.apply(change(Kind.JOIN, BOB, 2, "red"))
    assert groups.members("red") == (ANN,)


def test_memberships_are_counted() -> None:
    groups = red(ANN, BOB)
    groups.apply(change(Kind.JOIN, ANN, 3, "blue"))
    groups.apply(change(Kind.JOIN, ANN, 4, "blue"))
    groups.apply(change(Kind.LEAVE, BOB, 5, "red"))
    assert groups.size == 2
    groups.apply(change(Kind.JOIN, BOB, 6, "red"))
    groups.transitional((A,), NEW, (A,))
    groups.install(NEW, (CohortGroups((A,), groups.states()),))
    assert groups.size == 2
    groups.apply(change(Kind.DISCONNECT, ANN, 1))
    assert groups.size == 0


# -- sessions --------------------------------------------------------------------------------
def submit(
    session: str = "ann", groups: tuple[str, ...] = ("red",), size: int = 0, mess_type: int = 0
) -> events.Submit:
    return events.Submit(session, Service.FIFO, groups, b"x" * size, False, mess_type)


@pytest.fixture
def sessions() -> Sessions:
    found = Sessions(Settings(sessions_max=2, joined_max=1, payload_bytes_max=10))
    found.open("ann")
    return found


@pytest.mark.parametrize("name", ["", "a#b", "x" * 129, "\udcff"])
def test_what_is_no_name_is_refused(sessions: Sessions, name: str) -> None:
    with pytest.raises(LocalProtocolError, match="name"):
        sessions.open(name)
    with pytest.raises(LocalProtocolError, match="name"):
        sessions.join("ann", name)


def test_a_session_is_open_once_and_there_are_only_so_many(sessions: Sessions) -> None:
    with pytest.raises(LocalProtocolError, match="open already"):
        sessions.open("ann")
    sessions.open("bob")
    with pytest.raises(LocalProtocolError, match="maximum"):
        sessions.open("cid")


def test_a_closed_name_is_free_when_its_groups_know(sessions: Sessions) -> None:
    sessions.join("ann", "red")
    told = sessions.close("ann")
    assert told is not None
    assert told.groups == ("red",)
    with pytest.raises(LocalProtocolError, match="not quite gone"):
        sessions.open("ann")
    sessions.gone("ann")
    sessions.open("ann")
    assert sessions.close("ann") is None


def test_joins_and_leaves_must_make_sense(sessions: Sessions) -> None:
    with pytest.raises(LocalProtocolError, match="isn't in group"):
        sessions.leave("ann", "red")
    sessions.join("ann", "red")
    with pytest.raises(LocalProtocolError, match="already"):
        sessions.join("ann", "red")
    with pytest.raises(LocalProtocolError, match="maximum"):
        sessions.join("ann", "blue")
    assert sessions.leave("ann", "red").groups == ("red",)
    with pytest.raises(LocalProtocolError, match="isn't open"):
        sessions.join("bob", "red")


def test_a_submission_must_make_sense(sessions: Sessions) -> None:
    for bad, words in (
        (submit("bob"), "isn't open"),
        (submit(groups=()), "1 to 100 groups"),
        (submit(groups=("",)), "no name"),
        (submit(groups=("é\ud800",)), "no name"),
        (submit(size=11), "up to 10 bytes"),
        (submit(mess_type=MARKED_BELOW), "16 bits"),
        (submit(mess_type=-(1 << 15) - 1), "16 bits"),
    ):
        with pytest.raises(LocalProtocolError, match=words):
            sessions.submit(bad)
    assert sessions.number == 0, "nothing changed"
    item = sessions.submit(submit(size=10, mess_type=-(1 << 15)))
    assert (item.number, item.mess_type) == (1, -(1 << 15))
