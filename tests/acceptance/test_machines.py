"""Machines put together, as people do it: each way joins, or says what is wrong and what to do.

`make test ARGS="tests/acceptance/test_machines.py -s"` prints the table that README.md has.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_ways import JOINING, SAYING, TO_SAY, declared, together
from machines import PORTS, Machines
from slow_marks import all_slow_but
from slowness import Slowness

from zactor.lab.lab import until
from zactor.lab.namespaces import why_not
from zactor.testing.group_sim.history import read_logs

ROOT = Path(__file__).resolve().parents[2]
SAID_WITHIN_S = 3.0
SILENCE_S = 0.7
BY_THE_DOOR = "heartbeats_by_the_door"


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    why = why_not()
    if why:
        pytest.skip(why)
    made = Machines(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("way", all_slow_but({"its_own_address"}, JOINING))
def test_machines_join(machines: Machines, way: str) -> None:
    print(f"\n| {way} | {JOINING[way](machines)} |")


@pytest.mark.parametrize("way", all_slow_but({"another_key_that_joins"}, SAYING))
def test_who_cannot_join_says_why_and_what_to_do(
    machines: Machines, way: str, slowness: Slowness
) -> None:
    code, words, took_s = SAYING[way](machines)
    want_code, want = TO_SAY[SAYING[way]]
    print(f"\n| {way} | {took_s:.1f} s, exit {code} | {words} |")
    assert code == want_code, words
    assert want in words
    assert words.startswith("zactor: ")
    assert slowness.quiet_s(took_s) < SAID_WITHIN_S


# -- more of it ------------------------------------------------------------------------------
@pytest.mark.slow
def test_ten_machines_are_declared_one_after_the_other(machines: Machines) -> None:
    hosts = [f"H{number}" for number in range(1, 11)]
    names = [f"n{number}" for number in range(1, 11)]
    machines.share_key(*hosts)
    for host, name in zip(hosts, names, strict=True):
        machines.node(host, "--name", name, "--bind", machines.net.host(host))
    for host, name in zip(hosts[1:], names[1:], strict=True):
        declared(machines, "H1", name, machines.net.host(host))
    for host in (hosts[0], hosts[-1]):
        until(f"{host} sees all", lambda host=host: machines.up(host) == set(names))


@pytest.mark.slow
def test_whoever_is_asked_says_that_two_of_three_do_not_reach_each_other(
    machines: Machines,
) -> None:
    address = {host: machines.net.host(host) for host in "ABC"}
    machines.net.close_ports_between("B", "C", PORTS)
    machines.share_key("A", "B", "C")
    machines.node("A", "--name", "n1", "--bind", address["A"])
    machines.node("B", "--name", "n2", "--bind", address["B"], "--join", address["A"])
    until("two are together", lambda: machines.up("A") == {"n1", "n2"})
    terminal = machines.node("C", "--name", "n3", "--bind", address["C"])
    assert machines.run("A", "declare-node", "n3", address["C"]).returncode == 4
    until("its terminal says so", lambda: "n3 can't reach n2: no node" in machines.shown(terminal))
    for host in "ABC":

        def says(host: str = host) -> bool:
            done = machines.run(host, "status")
            return done.returncode == 3 and "n3 can't reach n2: no node" in done.stdout

        until(f"the status on {host} says so", says)
    assert "n3 can't reach n2: no node" in machines.run("A", "events").stdout
    machines.net.open_ports_between("B", "C", PORTS)
    until("they are together", lambda: machines.up("A") == machines.up("C") == {"n1", "n2", "n3"})
    assert machines.run("A", "status").returncode == 0, "and it is said no more"
    machines.net.close_ports_between("B", "C", "1-65534")

    def tells_of_the_cut() -> bool:
        lines = machines.run("A", "status").stdout
        return "n2 can't reach n3 at" in lines or "n3 can't reach n2 at" in lines

    until("n1 says who doesn't reach whom", tells_of_the_cut)
    machines.stop(terminal)
    again = machines.node("C", "--name", "n3", "--bind", address["C"], "--join", address["A"])
    until("who was a member goes on trying", lambda: machines.lines(again, "nobody_joined") == 1)
    machines.net.open_ports_between("B", "C", "1-65534")
    until("they are together", lambda: machines.up("A") == machines.up("C") == {"n1", "n2", "n3"})


@pytest.mark.slow
def test_the_readmes_block_for_more_machines_runs_as_written(machines: Machines) -> None:
    for host, address in (("here", "192.168.70.38"), ("there", "192.168.70.39")):
        machines.net.bare_host(host)
        machines.net.cable(host, 0, f"{address}/24")
    text = (ROOT / "README.md").read_text()
    (block,) = re.findall(r"```\n(here\$.*?)```", text, re.DOTALL)
    token, shown = "", ""
    for line in block.splitlines():
        host, _, command = line.partition("$")
        program, *words = shlex.split(command.replace("TOKEN", token), comments=True)
        assert program == "zactor"
        if words[0] == "node":
            machines.node(host, *words[1:])
            continue
        done = machines.run(host, *words)
        assert done.returncode == 0, (line, done.stderr)
        shown = done.stdout
        token = shown.strip() if words == ["keys", "token"] else token
    assert [line.split()[:3] for line in shown.splitlines()[1:]] == [
        ["n1", "node", "up"],
        ["n3", "node", "up"],
    ]
    until("there as well", lambda: machines.up("there") == {"n1", "n3"})


@pytest.mark.slow
@pytest.mark.parametrize("open_ports", [PORTS, "4810"])
def test_who_falls_silent_is_missed_as_soon_by_one_port_as_by_two(
    machines: Machines,
    open_ports: str,
    tmp_path: Path,
    slowness: Slowness,
) -> None:
    here, there = machines.net.host("A"), machines.net.host("B")
    if open_ports == "4810":
        for host in "AB":
            machines.net.close_ports(host, "4811-4899")
    machines.share_key("A", "B")
    number = machines.node("A", "--name", "n1", "--bind", here)
    machines.node("B", "--name", "n2", "--bind", there, "--join", here)
    together(machines, "AB", "n1", "n2")
    if open_ports == "4810":
        until("they have found a way", lambda: bool(machines.lines(number, BY_THE_DOOR)))
    machines.net.split("A", "B")
    cut_ns = time.monotonic_ns()

    def missed() -> list[int]:
        lines = read_logs(tmp_path / "trace")
        return [line["t"] for line in lines if line["k"] == "suspect" and line["t"] > cut_ns]

    until("each misses the other", lambda: len(missed()) == 2)
    took_s = (max(missed()) - cut_ns) / 1e9
    print(f"missed after {took_s:.2f} s, with ports {open_ports} open")
    assert slowness.quiet_s(took_s) < SILENCE_S
    machines.net.heal()
    until("one view again", lambda: machines.up("A") == machines.up("B") == {"n1", "n2"})
