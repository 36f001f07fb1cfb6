"""The flush layer without sockets: sequences by hand, and random ones with all that can be."""

from __future__ import annotations

import pytest
from flush_world import Member, World, sent

from zactor.spread import c_constants as c
from zactor.spread.c_memberships import SpreadError
from zactor.spread.client_frames import (
    Cause,
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    SpreadTransitional,
)
from zactor.spread.flush import FLUSH_OK, FLUSH_RECV, VULNERABLE, FlushGroups, FlushMessage

A, B, C = "#a#d1", "#b#d1", "#c#d2"


def joined(*members: str, index: int) -> SpreadMembership:
    """The last of them has joined."""
    return SpreadMembership("g", Cause.JOIN, members, (1, 1, index), ((members[-1],),), 0, 0x1100)


def gone(who: str, *members: str, index: int) -> SpreadMembership:
    return SpreadMembership("g", Cause.DISCONNECT, members, (1, 1, index), ((who,),), 0, 0x1400)


def word(kind: int, sender: str, index: int) -> SpreadMessage:
    id = b"\1\0\0\0\1\0\0\0" + index.to_bytes(4, "little")
    return sent(sender, FlushMessage(("g",), kind, id))


def got(groups: FlushGroups) -> list[str]:
    """What the program was given since the last time, in a word each."""
    found = []
    while groups.ready:
        each = groups.ready.popleft()
        if c.Is_flush_req_mess(each.service_type):
            found.append("flush?")
        elif c.Is_regular_mess(each.service_type):
            found.append(each.message.decode())
        elif c.Is_transition_mess(each.service_type):
            found.append("signal")
        else:
            found.append(" ".join(each.groups))
    return found


def in_a_view(own: str, *members: str, index: int) -> FlushGroups:
    """A session that has joined, and whose view all have entered."""
    groups = FlushGroups(own)
    groups.join("g")
    groups.take(joined(*members, own, index=index))
    for kind in (FLUSH_OK, FLUSH_RECV):
        for member in (*members, own):
            groups.take(word(kind, member, index))
    assert got(groups) == [" ".join((*members, own))]
    assert [each.mess_type for each in groups.out] == [FLUSH_OK, FLUSH_RECV]
    groups.out.clear()
    return groups


def test_a_view_waits_for_the_consent_of_all_its_members() -> None:
    groups = in_a_view(B, A, index=2)
    groups.take(joined(A, B, C, index=3))
    groups.take(word(FLUSH_OK, A, 3))
    groups.take(word(FLUSH_OK, C, 3))
    groups.take(sent(C, FlushMessage(("g",), 0, b"from a stranger")))
    groups.take(sent(A, FlushMessage(("g",), 0, b"of the old view")))
    assert got(groups) == ["flush?", "of the old view"]
    groups.flush("g")
    assert list(groups.out) == [
        FlushMessage(("g",), FLUSH_OK, b"\1\0\0\0\1\0\0\0\3\0\0\0"),
    ]
    assert got(groups) == [], "its own comes back first, behind what it has sent"
    groups.take(word(FLUSH_OK, B, 3))
    view = groups.ready[0]
    assert (view.service_type, view.sender, view.mess_type) == (0x1100, "g", 1)
    assert view.message[12:] == b"\1\0\0\0" + C.encode().ljust(32, b"\0")
    assert got(groups) == [f"{A} {B} {C}"]
    assert groups.out[-1].mess_type == FLUSH_RECV


def test_who_has_agreed_sends_nothing_until_the_view_is_there() -> None:
    groups = in_a_view(B, A, index=2)
    with pytest.raises(SpreadError) as raised:
        groups.flush("g")
    assert raised.value.code == c.ILLEGAL_STATE, "nobody has asked"
    groups.take(joined(A, B, C, index=3))
    assert groups.message("g", 7, b"x").mess_type == VULNERABLE
    groups.flush("g")
    for call in (lambda: groups.flush("g"), lambda: groups.message("g", 7, b"x")):
        with pytest.raises(SpreadError) as raised:
            call()
        assert raised.value.code == c.ILLEGAL_STATE
    assert groups.message(A, 7, b"x") == FlushMessage((A,), 7, b"x"), "to one of them it may"


def test_joining_and_leaving_have_their_times() -> None:
    groups = FlushGroups(A)

    def refused(call: object) -> bool:
        assert callable(call)
        with pytest.raises(SpreadError) as raised:
            call("g")
        return raised.value.code == c.ILLEGAL_GROUP

    assert refused(groups.leave)
    groups.join("g")
    assert refused(groups.join)
    groups.take(joined(A, index=1))
    assert refused(groups.leave), "it is no member before all have let it in"
    assert refused(groups.join)
    groups.take(word(FLUSH_OK, A, 1))
    groups.leave("g")
    assert refused(groups.leave)
    assert refused(groups.flush)
    with pytest.raises(SpreadError):
        groups.message("g", 0, b"x")
    groups.take(SpreadLeft("g", 0x200))
    assert c.Is_self_leave(groups.ready[-1].service_type)
    groups.join("g")


def test_a_death_before_the_consent_ends_the_change_and_the_next_says_network() -> None:
    groups = in_a_view(B, A, index=2)
    groups.take(joined(A, B, C, index=3))
    groups.flush("g")
    groups.take(word(FLUSH_OK, A, 3))
    groups.take(gone(C, A, B, index=4))
    assert groups.out[-1].payload[8:] == b"\4\0\0\0", "it has agreed already"
    for member in (A, B):
        groups.take(word(FLUSH_OK, member, 4))
    groups.ready.popleft()
    view = groups.ready.popleft()
    assert (view.service_type, view.groups) == (c.REG_MEMB_MESS | c.CAUSED_BY_NETWORK, (A, B))
    assert view.message[12:16] == b"\2\0\0\0", "the names of who came along"
    assert not groups.ready


def test_a_death_of_a_member_is_a_request_then_a_signal_then_the_view() -> None:
    groups = in_a_view(B, A, index=2)
    groups.take(gone(A, B, index=3))
    assert got(groups) == ["flush?", "signal"]
    groups.flush("g")
    groups.take(word(FLUSH_OK, B, 3))
    assert got(groups) == [B]


def test_a_member_that_dies_behind_its_consent_is_in_the_view_and_leaves_the_next() -> None:
    groups = in_a_view(B, A, index=2)
    groups.take(joined(A, B, C, index=3))
    groups.take(word(FLUSH_OK, C, 3))
    groups.take(gone(C, A, B, index=4))
    groups.take(word(FLUSH_OK, A, 3))
    assert got(groups) == ["flush?"]
    groups.flush("g")
    groups.take(word(FLUSH_OK, B, 3))
    assert got(groups) == [f"{A} {B} {C}", "flush?", "signal"]


def test_a_message_for_a_view_that_is_not_there_yet_waits_for_it() -> None:
    groups = in_a_view(B, A, index=2)
    groups.take(joined(A, B, C, index=3))
    groups.flush("g")
    for member in (B, C):
        groups.take(word(FLUSH_OK, member, 3))
    # C has entered it: another order of FIFO messages than here.
    mark = b"\x05\0" + b"\1\0\0\0\1\0\0\0\3\0\0\0"
    groups.take(sent(C, FlushMessage(("g",), VULNERABLE, b"early" + mark)))
    groups.take(sent(A, FlushMessage(("g",), 0, b"of the old view")))
    groups.take(word(FLUSH_OK, A, 3))
    assert groups.ready[-1].mess_type == 5
    assert got(groups) == ["flush?", "of the old view", f"{A} {B} {C}", "early"]
    groups.take(
        sent(C, FlushMessage(("g",), VULNERABLE, b"of another view" + mark[:-4] + bytes(4)))
    )
    assert got(groups) == []


def test_marks_of_the_other_byte_order_are_read() -> None:
    groups = in_a_view(A, index=1)
    groups.take(joined(A, B, index=2))
    groups.flush("g")
    big = b"\0\0\0\1\0\0\0\1\0\0\0\2"
    groups.take(word(FLUSH_OK, A, 2))
    groups.take(sent(B, FlushMessage(("g",), FLUSH_OK, big), is_big=True))
    groups.take(sent(B, FlushMessage(("g",), VULNERABLE, b"hi\1\2" + big), is_big=True))
    assert groups.ready[-1].mess_type == 0x0102
    assert got(groups) == ["flush?", f"{A} {B}", "hi"]


def test_some_members_only() -> None:
    groups = in_a_view(B, A, index=2)
    made = groups.subgroup_message("g", [A], 3, b"for one")
    assert made == FlushMessage((A,), 3, b"for one" + b"g".ljust(32, b"\0"), True)
    with pytest.raises(SpreadError) as raised:
        groups.subgroup_message("g", [A, C], 3, b"")
    assert raised.value.code == c.ILLEGAL_RECEIVERS
    groups.take(sent(A, FlushMessage((B,), 3, b"hi" + b"g".ljust(32, b"\0"), True)))
    assert groups.ready[-1].groups == (B, "g")
    assert got(groups) == ["hi"]


def test_what_looks_like_a_word_of_the_layer_and_is_none_is_nothing() -> None:
    groups = in_a_view(B, A, index=2)
    for kind in (FLUSH_OK, FLUSH_RECV, VULNERABLE):
        for payload in (b"", bytes(11), bytes(12)):
            groups.take(sent(C, FlushMessage(("g",), kind, payload)))
            groups.take(sent(C, FlushMessage(("elsewhere",), kind, payload)))
    groups.take(sent(C, FlushMessage((B,), 1, b"short", True)))
    groups.take(SpreadTransitional("elsewhere", (1, 1, 1), 0x2000))
    assert got(groups) == []
    with pytest.raises(SpreadError) as raised:
        groups.message("g", -32766, b"")
    assert raised.value.code == c.ILLEGAL_MESSAGE_TYPE


# -- at random -------------------------------------------------------------------------------
@pytest.mark.parametrize("ten", range(15))
def test_members_that_go_together_have_the_same_messages_in_each_view(ten: int) -> None:
    assert sum(shared_messages(World(10 * ten + seed)) for seed in range(10)) > 100


def shared_messages(world: World) -> int:
    """Play, check, and return how many messages were compared."""
    everybody: dict[str, Member] = {}
    for _ in range(1_500):
        world.step()
        everybody.update(world.members)
    world.rest()
    told = 0
    for one in everybody.values():
        for other in everybody.values():
            of_other = {chapter.id: at for at, chapter in enumerate(other.story)}
            for chapter, after in zip(one.story, one.story[1:], strict=False):
                at = of_other.get(chapter.id)
                if at is None:
                    continue
                same = other.story[at]
                assert same.members == chapter.members, "one view, one membership"
                together = at + 1 < len(other.story) and other.story[at + 1].id == after.id
                if together and other.own in after.came_along:
                    told += len(chapter.said)
                    assert sorted(same.said) == sorted(chapter.said)
    for part in world.parts:
        group = world.there(part)
        assert len({world.members[name].view for name in group}) <= 1
        for name in group:
            assert world.members[name].story[-1].members == group, "all is calm: it is the last"
    return told
