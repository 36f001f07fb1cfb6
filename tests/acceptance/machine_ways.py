"""Ways to put two and three machines together: those that work, and those that can't.

Each is a story: its keys, its nodes, and the last command, which joins or says why not.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from machines import PORTS, Machines

from zactor.lab.lab import until

STAYS_S = 3.0  # longer than any silence that the failure detector puts up with


def together(machines: Machines, hosts: str, *names: str) -> str:
    """Wait until each node knows all those; return how long that took since the last command."""
    until(f"a view of {names}", lambda: machines.knows(*names))
    row = f"joined in {time.monotonic() - machines.typed_s:.1f} s"
    for host in hosts:
        until(f"{host} says so", lambda host=host: machines.up(host) == set(names))
    return row


def declared(machines: Machines, at: str, name: str, address: str) -> None:
    done = machines.run(at, "declare-node", name, address)
    assert done.returncode == 0, done.stderr


def stays(machines: Machines, number: str) -> None:
    """Nobody is put out of the view for some time."""
    views = len(machines.views())
    end = time.monotonic() + STAYS_S
    until("some time has passed", lambda: time.monotonic() > end)
    assert len(machines.views()) == views, machines.shown(number)


# -- those that join -------------------------------------------------------------------------
def its_own_address(machines: Machines) -> str:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--name", "n2", "--bind", there)
    declared(machines, "A", "n2", there)
    return together(machines, "AB", "n1", "n2")


def all_addresses_one_advertised(machines: Machines) -> str:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", "0.0.0.0", "--advertise", here)
    machines.node("B", "--name", "n2", "--bind", "0.0.0.0", "--advertise", there)
    declared(machines, "A", "n2", there)
    return together(machines, "AB", "n1", "n2")


def all_addresses_of_several_interfaces(machines: Machines) -> str:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.net.cable("B", 1, "10.88.0.2/24")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", "0.0.0.0")
    number = machines.node("B", "--name", "n2", "--bind", "0.0.0.0", "--join", here)
    row = together(machines, "AB", "n1", "n2")
    assert f'"address": "{there}", "others": ["10.88.0.2"]' in machines.shown(number)
    return row


def without_a_name(machines: Machines) -> str:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--bind", "0.0.0.0")
    declared(machines, "A", "n2", there)
    return together(machines, "AB", "n1", "n2")


def ipv6(machines: Machines) -> str:
    here, there = machines.net.host6("A"), machines.net.host6("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", f"[{here}]:4810")
    machines.node("B", "--name", "n2", "--bind", f"[{there}]", "--join", f"[{here}]:4810")
    return together(machines, "AB", "n1", "n2")


def host_names(machines: Machines) -> str:
    names = {"alpha": machines.net.host("A"), "beta": machines.net.host("B")}
    for host in "AB":
        machines.net.name_hosts(host, names)
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", "alpha")
    machines.node("B", "--name", "n2", "--bind", "0.0.0.0", "--advertise", "beta")
    declared(machines, "A", "n2", "beta")
    return together(machines, "AB", "n1", "n2")


def host_names_with_ipv6_only(machines: Machines) -> str:
    names = {"alpha": machines.net.host6("A"), "beta": machines.net.host6("B")}
    for host in "AB":
        machines.net.name_hosts(host, names)
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", "alpha")
    machines.node("B", "--name", "n2", "--bind", "[::]", "--advertise", "beta", "--join", "alpha")
    return together(machines, "AB", "n1", "n2")


def a_mapped_port(machines: Machines) -> str:
    """B is behind a router that lets nobody in but at one port, where B's door is."""
    here = machines.net.host("A")
    outside = machines.net.router("R", 1, "10.88.0.1/24")
    machines.net.bare_host("B")
    machines.net.cable("B", 1, "10.88.0.2/24")
    machines.net.route("B", "default", "via", "10.88.0.1")
    machines.net.route("A", "10.88.0.0/24", "via", outside)
    machines.map_port("R", 14810, "10.88.0.2", 4810)
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    told = f"{outside}:14810"
    number = machines.node(
        *("B", "--name", "n2", "--bind", "0.0.0.0", "--advertise", told, "--join", here)
    )
    row = together(machines, "AB", "n1", "n2")
    stays(machines, number)
    return row


def a_firewall_for_heartbeats(machines: Machines) -> str:
    """One open port is enough for a node; here it is so for all three."""
    address = {host: machines.net.host(host) for host in "ABC"}
    for host in "ABC":
        machines.net.close_ports(host, "4811-4899")
    machines.share_key("A", "B", "C")
    number = machines.node("A", "--name", "n1", "--bind", address["A"])
    machines.node("B", "--name", "n2", "--bind", address["B"], "--join", address["A"])
    machines.node("C", "--name", "n3", "--bind", address["C"])
    declared(machines, "A", "n3", address["C"])
    row = together(machines, "ABC", "n1", "n2", "n3")
    stays(machines, number)
    return row


def a_second_and_a_third(machines: Machines) -> str:
    address = {host: machines.net.host(host) for host in "ABC"}
    machines.share_key("A", "B", "C")
    machines.node("A", "--name", "n1", "--bind", address["A"])
    machines.node("B", "--name", "n2", "--bind", "0.0.0.0")
    machines.node("C", "--name", "n3", "--bind", "0.0.0.0")
    declared(machines, "A", "n2", address["B"])
    declared(machines, "A", "n3", address["C"])
    return together(machines, "ABC", "n1", "n2", "n3")


def three_that_join(machines: Machines) -> str:
    address = {host: machines.net.host(host) for host in "ABC"}
    machines.share_key("A", "B", "C")
    machines.node("A", "--name", "n1", "--bind", address["A"])
    for host, name in (("B", "n2"), ("C", "n3")):
        machines.start(*(host, "node", "--name", name, "--bind", "0.0.0.0", "--join", address["A"]))
    return together(machines, "ABC", "n1", "n2", "n3")


def a_console_beside_a_node(machines: Machines) -> str:
    """It listens where the node of its home does, so nobody has to say --bind again."""
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--name", "n2", "--bind", there, "--join", here)
    machines.start("A", "master", "--name", "m1", "--stay", "-c", "nodes")
    return together(machines, "AB", "m1", "n1", "n2")


JOINING = {
    way.__name__: way
    for way in (
        its_own_address,
        all_addresses_one_advertised,
        all_addresses_of_several_interfaces,
        without_a_name,
        ipv6,
        host_names,
        host_names_with_ipv6_only,
        a_mapped_port,
        a_firewall_for_heartbeats,
        a_second_and_a_third,
        three_that_join,
        a_console_beside_a_node,
    )
}


# -- those that can't, and say so ------------------------------------------------------------
Said = tuple[int, str, float]
"""The exit code, what is said, and after how many s: beyond what any command takes to start."""


def a_loopback_console(machines: Machines) -> Said:
    machines.net.host("A")
    there = machines.net.host("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1")
    machines.node("B", "--name", "n2", "--bind", there)
    return said(machines, "A", "declare-node", "n2", there)


def a_loopback_node_beside(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("A", "--name", "n2", "--bind", "127.0.0.1")
    until("they meet", lambda: machines.up("A") == {"n1", "n2"})
    return said(machines, "B", "node", "--name", "n3", "--bind", there, "--join", here)


def a_firewall_before_who_joins(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.net.close_ports("B", PORTS)
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    return said(machines, "B", "node", "--name", "n2", "--bind", there, "--join", here)


def a_firewall_before_who_declares(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.net.close_ports("A", PORTS)
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--name", "n2", "--bind", there)
    return said(machines, "A", "declare-node", "n2", there)


def a_firewall_before_who_is_declared(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.net.close_ports("B", PORTS)
    machines.share_key("A", "B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--name", "n2", "--bind", there)
    return said(machines, "A", "declare-node", "n2", there)


def another_key_that_joins(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.node("A", "--name", "n1", "--bind", here)
    return said(machines, "B", "node", "--name", "n2", "--bind", there, "--join", here)


def another_key_without_a_name(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.node("A", "--name", "n1", "--bind", here)
    return said(machines, "B", "node", "--bind", there, "--join", here)


def another_key_of_a_console(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.node("A", "--name", "n1", "--bind", here)
    return said(machines, "B", "master", "-c", "nodes", "--bind", there, "--join", here)


def another_key_that_is_declared(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--name", "n2", "--bind", there)
    return said(machines, "A", "declare-node", "n2", there)


def another_cluster_with_this_key(machines: Machines) -> Said:
    """Each of two was used before they met."""
    here, there = machines.net.host("A"), machines.net.host("B")
    machines.share_key("A", "B")
    for host, name, address in (("A", "n1", here), ("B", "n2", there)):
        machines.node(host, "--name", name, "--bind", address)
        code = machines.home(host) / "actors.py"
        code.write_text("from zactor import Actor\n\n\nclass Quiet(Actor):\n    pass\n")
        assert machines.run(host, "declare-factory", "quiet", str(code)).returncode == 0
    return said(machines, "A", "declare-node", "n2", there)


def two_of_three_apart(machines: Machines) -> Said:
    """The first reaches both, and they don't reach each other."""
    address = {host: machines.net.host(host) for host in "ABC"}
    machines.net.close_ports_between("B", "C", PORTS)
    machines.share_key("A", "B", "C")
    machines.node("A", "--name", "n1", "--bind", address["A"])
    machines.node("B", "--name", "n2", "--bind", address["B"], "--join", address["A"])
    machines.node("C", "--name", "n3", "--bind", address["C"])
    until("two are together", lambda: machines.up("A") == {"n1", "n2"})
    return said(machines, "A", "declare-node", "n3", address["C"])


def two_of_three_apart_and_one_joins(machines: Machines) -> Said:
    """Who joins reaches the node that it was told, and not the other."""
    address = {host: machines.net.host(host) for host in "ABC"}
    machines.net.close_ports_between("B", "C", PORTS)
    machines.share_key("A", "B", "C")
    machines.node("A", "--name", "n1", "--bind", address["A"])
    machines.node("B", "--name", "n2", "--bind", address["B"], "--join", address["A"])
    until("two are together", lambda: machines.up("A") == {"n1", "n2"})
    words = ("node", "--name", "n3", "--bind", address["C"], "--join", address["A"])
    return said(machines, "C", *words)


def nobody_where_it_joins(machines: Machines) -> Said:
    here, there = machines.net.host("A"), machines.net.host("B")
    return said(machines, "B", "node", "--name", "n2", "--bind", there, "--join", here)


def no_host_where_it_joins(machines: Machines) -> Said:
    there = machines.net.host("B")
    return said(machines, "B", "node", "--name", "n2", "--bind", there, "--join", "10.77.0.99")


def no_such_name_where_it_joins(machines: Machines) -> Said:
    there = machines.net.host("B")
    machines.net.name_hosts("B", {})
    return said(machines, "B", "node", "--name", "n2", "--bind", there, "--join", "nowhere.invalid")


def all_addresses_and_no_way_to_tell(machines: Machines) -> Said:
    machines.net.host("B")
    machines.net.cable("B", 1, "10.88.0.2/24")
    return said(machines, "B", "node", "--name", "n2", "--bind", "0.0.0.0")


def loopback_advertised(machines: Machines) -> Said:
    there = machines.net.host("B")
    return said(
        *(machines, "B", "node", "--name", "n2", "--bind", there, "--advertise", "127.0.0.1")
    )


def said(machines: Machines, host: str, *words: str) -> Said:
    """Type it, and return how it ended."""
    done = machines.run(host, *words)
    took_s = time.monotonic() - machines.typed_s
    _ = machines.run(host, "node", "-h")
    started_s = time.monotonic() - machines.typed_s
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1] if lines else "", took_s - started_s


TO_SAY: dict[Callable[[Machines], Said], tuple[int, str]] = {
    a_loopback_console: (6, "n1 listens on 127.0.0.1 only, so n2 can't reach it: start it with"),
    a_loopback_node_beside: (6, "n2 listens on 127.0.0.1 only, so n3 can't reach it: start it"),
    a_firewall_before_who_joins: (4, "n1 can't reach n2 at 10.77.0.2:4810: the host is silent"),
    a_firewall_before_who_declares: (4, "n2 can't reach n1 at 10.77.0.1:4810: the host is silent"),
    a_firewall_before_who_is_declared: (4, "no node answers at 10.77.0.2:4810: the host is silent"),
    another_key_that_joins: (6, "10.77.0.1:4810 belongs to another cluster than this home: run"),
    another_key_without_a_name: (6, "10.77.0.1:4810 belongs to another cluster than this home"),
    another_key_of_a_console: (6, "10.77.0.1:4810 belongs to another cluster than this home"),
    another_key_that_is_declared: (6, "10.77.0.2:4810 belongs to another cluster than this home"),
    another_cluster_with_this_key: (6, "n2 belongs to another cluster, founded apart or"),
    two_of_three_apart: (4, "open it there; all nodes must reach each other"),
    two_of_three_apart_and_one_joins: (4, "n3 can't reach n2: no node answers at 10.77.0.2:4810"),
    nobody_where_it_joins: (4, "no node answers at 10.77.0.1:4810: nothing listens there"),
    no_host_where_it_joins: (4, "no node answers at 10.77.0.99:4810: the host is silent"),
    no_such_name_where_it_joins: (4, "there is no host 'nowhere.invalid'"),
    all_addresses_and_no_way_to_tell: (2, "this machine has 10.77.0.1, 10.88.0.2: say with"),
    loopback_advertised: (2, "--advertise 127.0.0.1 is this machine only"),
}
SAYING = {way.__name__: way for way in TO_SAY}
