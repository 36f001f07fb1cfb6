"""Topologies: from a number, from a spread.conf, from a file of hosts."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError
from zactor.lab.topology import HostSpec, counted, parse, spread_daemons


def test_the_first_of_a_number_founds_and_the_others_join() -> None:
    hosts = counted(2).hosts
    assert [host.name for host in hosts] == ["n1", "n2"]
    assert hosts[0].run == ("node", "--name", "n1", "--bind", "10.77.0.1:4810")
    assert hosts[1].run[-2:] == ("--join", "10.77.0.1:4810")
    assert all(host.run == () for host in counted(2, are_bare=True).hosts)


def test_a_spread_conf_has_a_daemon_on_each_of_its_hosts() -> None:
    (one, _) = spread_daemons({"d1": "10.0.0.1", "d2": "10.0.0.2"}, "spread.conf").hosts
    assert one == HostSpec(
        name="d1",
        address="10.0.0.1",
        run=("spread", "-n", "d1", "-c", "/tmp/spread.conf"),
        files=("spread.conf",),
    )


def test_a_file_of_hosts() -> None:
    text = '[hosts.a]\nrun = false\nfiles = ["x"]\ndisk = "8M"\n[hosts.b]\naddress = "10.1.1.1"\n'
    one, other = parse(text, "F").hosts
    assert (one.address, one.run, one.disk_bytes, one.files) == ("10.77.0.1", (), 8 << 20, ("x",))
    assert other.run[:3] == ("node", "--name", "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "want tables"),
        ("x = 1", "want tables"),
        ("[hosts.a", "F: "),
        ("[hosts.a]\nsize = 1", "may have address, disk, files, real_disk, run"),
        ("[hosts.a]\nrun = 5", "is no list of texts"),
        ("[hosts.a]\ndisk = 'big'", "want a size from 1M to 4G"),
        ("[hosts.a]\ndisk = '1'", "want a size from 1M to 4G"),
        ("[hosts.a]\naddress = 'here'", "is no IPv4 address"),
        ("[hosts.a]\naddress = '127.0.0.1'", "can't have the address"),
        ("[hosts.a]\naddress = '10.0.0.1'\n[hosts.b]\naddress = '10.0.0.1'", "have one address"),
        ("[hosts.'a b']", "is no name of a host"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "F")
    assert words in str(error.value)


@pytest.mark.parametrize("count", [0, 101])
def test_a_lab_has_a_size(count: int) -> None:
    with pytest.raises(ConfigError, match="a lab has 1 to 100"):
        counted(count)
