"""The C library's names: a program as it would be written in C, at a port with real sockets."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest
from spread_world import solo_port

from zactor.spread import c_api as sp
from zactor.spread import c_constants as c
from zactor.supervisor.spread.spread_settings import AccessRules


@pytest.fixture
def daemon() -> Iterator[str]:
    with solo_port("d1") as (_, port):
        yield f"{port}@127.0.0.1"


@pytest.fixture
def boxes(daemon: str) -> Iterator[tuple[int, int]]:
    """Two sessions, alice and bob, of which alice is in "room" and has seen it."""
    alice, own = sp.SP_connect(daemon, "alice", 0, 1)
    assert own == "#alice#d1"
    bob, _ = sp.SP_connect_timeout(daemon, "bob", 0, 1, 5.0)
    sp.SP_join(alice, "room")
    assert c.Is_caused_join_mess(sp.SP_receive(alice).service_type)
    yield alice, bob
    for mbox in (alice, bob):
        sp.SP_disconnect(mbox)


def test_messages_and_memberships_as_c_programs_read_them(boxes: tuple[int, int]) -> None:
    alice, bob = boxes
    sp.SP_join(bob, "room")
    got = sp.SP_receive(bob)
    assert c.Is_reg_memb_mess(got.service_type)
    assert c.Is_membership_mess(got.service_type)
    assert (got.sender, got.groups, got.mess_type) == ("room", ("#alice#d1", "#bob#d1"), 1)
    info = sp.SP_get_memb_info(got.message, got.service_type)
    assert (info.changed_member, info.num_vs_sets) == ("#bob#d1", 1)
    assert sp.SP_get_vs_set_members(got.message, info.my_vs_set) == ("#bob#d1",)
    assert sp.SP_get_vs_sets_info(got.message) == ((info.my_vs_set,), 0)
    assert info == sp.SP_scat_get_memb_info([got.message[:9], got.message[9:]], got.service_type)
    same = sp.SP_receive(alice)
    assert sp.SP_equal_group_ids(info.gid, sp.SP_get_memb_info(same.message, 0x1100).gid)
    assert same.mess_type == 0, "the own place among the members"

    sent = sp.SP_multigroup_scat_multicast(
        bob, c.SAFE_MESS | c.SELF_DISCARD, ("room", "else"), -7, (b"in ", b"pieces")
    )
    assert sent == 9
    whole, pieces = sp.SP_scat_receive(alice, (3, 100))
    assert c.Is_safe_mess(whole.service_type)
    assert c.Is_regular_mess(whole.service_type)
    assert c.Is_self_discard(whole.service_type)
    assert (whole.sender, whole.groups, whole.mess_type) == ("#bob#d1", ("room", "else"), -7)
    assert pieces == [b"in ", b"pieces"]

    sp.SP_leave(bob, "room")
    left = sp.SP_receive(bob)
    assert c.Is_self_leave(left.service_type)
    assert c.Is_caused_leave_mess(sp.SP_receive(alice).service_type)


def test_what_does_not_fit_is_kept_or_cut(boxes: tuple[int, int]) -> None:
    alice, bob = boxes
    sp.SP_multigroup_multicast(bob, c.AGREED_MESS, ("room", "b", "c"), 1, b"x" * 100)
    with pytest.raises(sp.SpreadError) as raised:
        sp.SP_receive(alice, max_groups=2)
    assert (raised.value.code, raised.value.groups) == (c.GROUPS_TOO_SHORT, 3)
    assert sp.SP_poll(alice) > 0, "it is kept"
    with pytest.raises(sp.SpreadError) as raised:
        sp.SP_receive(alice, max_mess_len=99)
    assert (raised.value.code, raised.value.bytes) == (c.BUFFER_TOO_SHORT, 100)
    cut = sp.SP_receive(alice, 2, 10, c.DROP_RECV)
    assert (cut.groups, cut.message) == (("room", "b"), b"x" * 10)
    assert sp.SP_poll(alice) == 0


def test_a_mailbox_is_its_socket_s_descriptor(boxes: tuple[int, int]) -> None:
    alice, bob = boxes
    sp.SP_scat_multicast(bob, c.FIFO_MESS, "room", 0, [b"hi"])
    ready, _, _ = select.select([alice], [], [], 20)
    assert ready == [alice]
    assert sp.SP_poll(alice) >= 48
    assert sp.SP_receive(alice).message == b"hi"


def test_a_transitional_signal_has_its_id_only() -> None:
    info = sp.SP_get_memb_info(b"\1\0\0\0\2\0\0\0\3\0\0\0", c.TRANSITION_MESS)
    assert (info.gid, info.num_vs_sets) == ((1, 2, 3), 0)


@pytest.mark.parametrize(
    ("code", "call"),
    [
        (c.ILLEGAL_SPREAD, lambda d: sp.SP_connect("no port", "a")),
        (c.COULD_NOT_CONNECT, lambda d: sp.SP_connect("1@127.0.0.1", "a")),
        (c.REJECT_ILLEGAL_NAME, lambda d: sp.SP_connect(d, "a b")),
        (c.REJECT_NOT_UNIQUE, lambda d: sp.SP_connect(d, "alice")),
        (c.ILLEGAL_SESSION, lambda d: sp.SP_receive(12_345)),
        (c.ILLEGAL_SESSION, lambda d: sp.SP_disconnect(12_345)),
        (c.ILLEGAL_MESSAGE, lambda d: sp.SP_get_memb_info(b"short", c.REG_MEMB_MESS)),
    ],
)
def test_errors_have_the_numbers_of_c(
    daemon: str, boxes: tuple[int, int], code: int, call: object
) -> None:
    assert callable(call)
    with pytest.raises(sp.SpreadError) as raised:
        call(daemon)
    assert raised.value.code == code


def test_what_can_not_be_sent(boxes: tuple[int, int]) -> None:
    alice, _ = boxes
    for code, call in (
        (c.ILLEGAL_GROUP, lambda: sp.SP_join(alice, "a b")),
        (c.ILLEGAL_GROUP, lambda: sp.SP_leave(alice, "x" * 32)),
        (c.ILLEGAL_SERVICE, lambda: sp.SP_multicast(alice, 0, "g", 0, b"")),
        (c.MESSAGE_TOO_LONG, lambda: sp.SP_multicast(alice, c.SAFE_MESS, "g", 0, bytes(144_000))),
        (c.ILLEGAL_MESSAGE, lambda: sp.SP_scat_multicast(alice, c.SAFE_MESS, "g", 0, [b""] * 101)),
    ):
        with pytest.raises(sp.SpreadError) as raised:
            call()
        assert raised.value.code == code


def test_the_daemon_s_end_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    with solo_port() as (_, port):
        mbox, _ = sp.SP_connect(f"{port}", "a")
    with pytest.raises(sp.SpreadError) as raised:
        sp.SP_receive(mbox)
    assert raised.value.code == c.CONNECTION_CLOSED
    sp.SP_error(raised.value.code)
    assert capfd.readouterr().out.endswith("SP_error: (-8) Connection closed by spread\n")
    sp.SP_kill(mbox)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(mbox)


@pytest.mark.parametrize("chosen", [("NULL",), ("IP",), ("NULL", "IP")])
def test_methods_are_chosen_for_the_process(chosen: tuple[str, ...]) -> None:
    rules = AccessRules(is_unix=True)
    with solo_port(methods=("NULL", "IP"), required=("IP",), access=rules) as (_, port):
        sp.SP_set_auth_methods(chosen)
        try:
            mbox, _ = sp.SP_connect(f"{port}", "a")
            sp.SP_disconnect(mbox)
            with pytest.raises(sp.SpreadError) as raised:
                sp.SP_connect(f"{port}@127.0.0.1", "a")
            assert raised.value.code == c.REJECT_AUTH
        finally:
            sp.SP_set_auth_method("NULL")


def test_the_version_is_that_of_the_library_it_stands_for() -> None:
    assert sp.SP_version() == (4, 4, 0)
    offsets = (
        sp.SP_get_gid_offset_memb_mess(),
        sp.SP_get_num_vs_offset_memb_mess(),
        sp.SP_get_local_vs_set_offset_memb_mess(),
        sp.SP_get_vs_set_offset_memb_mess(),
    )
    assert offsets == (0, 12, 16, 20)
