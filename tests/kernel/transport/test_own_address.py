"""The address that a node tells others, and whether an address is this machine's."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError
from zactor.kernel.transport.own_address import is_here, near_door, told_to_others
from zactor.kernel.transport.socket_context import Address

DOOR = "tcp://10.1.2.3:4812"


def test_who_is_bound_to_one_address_tells_that() -> None:
    assert told_to_others(Address("10.1.2.3"), DOOR) == DOOR
    assert told_to_others(Address("fd00::1"), "tcp://[fd00::1]:4810") == "tcp://[fd00::1]:4810"


def test_what_is_advertised_has_the_doors_port_unless_it_names_one() -> None:
    assert told_to_others(Address(advertise=("10.9.9.9", None)), DOOR) == "tcp://10.9.9.9:4812"
    assert told_to_others(Address(advertise=("10.9.9.9", 14810)), DOOR) == "tcp://10.9.9.9:14810"
    assert told_to_others(Address(advertise=("fd00::1", None)), DOOR) == "tcp://[fd00::1]:4812"
    name = Address(advertise=("nowhere.invalid", None))  # others may know it
    assert told_to_others(name, DOOR) == "tcp://nowhere.invalid:4812"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "127.0.0.1", "localhost", "::1"])
def test_what_others_could_not_call_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match=f"--advertise {host}"):
        told_to_others(Address(advertise=(host, None)), DOOR)


def test_who_listens_for_its_own_machine_may_advertise_another_address_of_it() -> None:
    told = told_to_others(Address(advertise=("127.0.0.1", 5000)), "tcp://127.0.0.1:4810")
    assert told == "tcp://127.0.0.1:5000"


def test_who_listens_on_all_addresses_never_tells_that() -> None:
    towards = ("tcp://127.0.0.1:4810",)  # which says nothing
    try:
        told = told_to_others(Address("0.0.0.0", towards=towards), "tcp://0.0.0.0:4810")
    except ConfigError:  # a machine with several, and no way out
        return
    assert told.endswith(":4810")
    assert "0.0.0.0" not in told


def test_this_machine_calls_a_door_on_all_addresses_at_loopback() -> None:
    assert near_door("tcp://0.0.0.0:4811") == "tcp://127.0.0.1:4811"
    assert near_door("tcp://[::]:4811") == "tcp://[::1]:4811"
    assert near_door(DOOR) == DOOR


def test_an_address_of_this_machine_is_told_from_others() -> None:
    assert is_here("127.0.0.1")
    assert is_here("127.0.1.1")
    assert is_here("::ffff:127.0.0.1")
    assert not is_here("192.0.2.1")
    assert not is_here("2001:db8::1")
    assert not is_here("")
