"""The port as a part of real nodes: with other kinds of members, and as nodes come and go."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from raw_spread import AGREED, FIFO, JOIN, SAFE, RawSpread, entered, listens
from spread_world import free_port

from zactor import Mailbox, MembershipMessage, Service
from zactor.lab.lab import Lab, until

LONG = "a-name-that-is-longer-than-any-that-a-program-of-Spread-can-hold"


def start(lab: Lab, *names: str) -> dict[str, tuple[str, int]]:
    """Start nodes with ports; return the address of each."""
    found = {name: ("127.0.0.1", free_port()) for name in names}
    for name, (host, number) in found.items():
        lab.start(name, "--spread", f"{host}:{number}")
    for name, at in found.items():
        until(f"{name} listens", lambda at=at: listens(at))
        until(f"all meet at {name}", lambda name=name: lab.names_up(name) == set(names))
    return found


def test_the_unix_socket_goes_with_the_node_and_a_dead_one_s_is_taken_over(lab: Lab) -> None:
    number = free_port()
    path = Path(f"/tmp/{number}")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))  # nobody listens: its daemon is dead
    lab.start("n1", "--spread", f"127.0.0.1:{number}")
    until("it listens", lambda: listens(str(path)))
    with entered(str(path), "a"):
        pass
    lab.stop("n1")
    assert not path.exists()


def test_a_program_a_mailbox_and_an_actor_share_groups(lab: Lab) -> None:
    with (
        entered(start(lab, "n1")["n1"], "spread") as client,
        Mailbox("box", lab.endpoint("n1"), home=lab.home) as box,
    ):
        client.send(JOIN, "g")
        assert client.membership().groups == ("#spread#n1",)
        box.join("g")
        assert client.membership().groups == ("#box#n1", "#spread#n1")
        joined = box.receive(timeout=20)
        assert isinstance(joined, MembershipMessage)
        assert joined.members == ("#box#n1", "#spread#n1")
        client.send(AGREED, "g", data=b"from C", mess_type=-7)
        message = box.receive(timeout=20)
        assert (message.sender, message.payload) == ("#spread#n1", b"from C")
        assert (message.service, message.mess_type) == (Service.AGREED, -7)
        box.multicast("g", b"from Python", service=Service.SAFE, mess_type=9)
        frame = client.data()
        assert frame.data == b"from C"
        frame = client.data()
        assert (frame.name, frame.kind, frame.data) == ("#box#n1", SAFE, b"from Python")
        assert frame.hint == b"\x80\x09\0\x80"
        box.multicast("#spread#n1", b"for one")
        assert client.data().groups == ("#spread#n1",)


def test_a_flush_library_s_consent_has_the_order_of_agreed_and_is_shown_as_it_was_sent(
    lab: Lab,
) -> None:
    with (
        entered(start(lab, "n1")["n1"], "spread") as client,
        Mailbox("box", lab.endpoint("n1"), home=lab.home) as box,
    ):
        client.send(JOIN, "g")
        client.membership()
        box.join("g")
        client.membership()
        box.receive(timeout=20)
        for mess_type, service in ((-32768, Service.AGREED), (-32767, Service.FIFO)):
            sent = client.send(FIFO, "g", data=bytes(12), mess_type=mess_type)
            assert client.read(len(sent)) == sent
            message = box.receive(timeout=20)
            assert (message.service, message.mess_type) == (service, mess_type)


def test_a_long_name_is_shown_short_and_answers_reach_it(lab: Lab) -> None:
    with (
        entered(start(lab, "n1")["n1"], "spread") as client,
        Mailbox(LONG, lab.endpoint("n1"), home=lab.home) as box,
    ):
        client.send(JOIN, "g")
        client.membership()
        box.join("g")
        joined = client.membership()
        (shown,) = joined.vs_sets[0][0]
        assert len(shown.encode()) == 31
        assert shown.startswith("#a-name-that-is")
        assert set(joined.groups) == {shown, "#spread#n1"}
        client.send(AGREED, shown, data=b"hello")
        messages = [box.receive(timeout=20) for _ in range(2)]
        assert messages[1].payload == b"hello"


def test_a_port_in_use_is_an_error_that_names_it(lab: Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        lab.spawn("n1", options=("--spread", f"127.0.0.1:{number}"), folder=lab.home)
        until("it ends", lambda: "n1" not in lab.names)
    assert f"no port for Spread at 127.0.0.1:{number}" in lab.output("n1")


# -- nodes come and go -----------------------------------------------------------------------
SOON_S = 2.0  # where Spread's daemons take 2.5 to 3


@pytest.mark.slow
def test_all_daemons_show_the_same_order_also_when_one_is_killed(lab: Lab) -> None:
    """AGREED and SAFE, from three nodes at once; the third is killed in the middle."""
    at = start(lab, "n1", "n2", "n3")
    with entered(at["n1"], "a") as a, entered(at["n1"], "b") as b, entered(at["n2"], "c") as c:
        d = RawSpread(at["n3"])
        d.enter("d")
        members = (a, b, c, d)
        for client in members:
            client.send(JOIN, "g")
        for client in members:
            while len(client.membership().groups) < len(members):
                pass
        for number in range(300):
            for client in members:
                service = SAFE if number % 3 else AGREED
                client.send(service, "g", data=f"{client.own} {number}".encode())
        lab.kill("n3")
        for client in (a, b, c):
            client.send(SAFE, "g", data=b"end of " + client.own.encode())
        seen = [story(client, {own.own for own in (a, b, c)}) for client in (a, b, c)]
        assert seen[0] == seen[1], "two at one node get the same bytes"
        assert seen[0] == seen[2]
        d.close()


def story(client: RawSpread, senders: set[str]) -> list[tuple[int, str, bytes]]:
    """All that a client gets, up to the last message of each sender."""
    found = []
    left = set(senders)
    while left:
        frame = client.frame()
        found.append((frame.kind, frame.name, frame.data))
        if frame.data.startswith(b"end of "):
            left.discard(frame.name)
    return found


@pytest.mark.slow
def test_a_daemon_that_dies_is_news_of_the_network_and_its_clients_see_the_end(lab: Lab) -> None:
    at = start(lab, "n1", "n2", "n3")
    with entered(at["n1"], "a") as a, entered(at["n2"], "c") as c:
        d = RawSpread(at["n3"])
        d.enter("d")
        for client in (a, c, d):
            client.send(JOIN, "g")
        for client in (a, c, d):
            while len(client.membership().groups) < 3:
                pass
        a.send(JOIN, "elsewhere")
        assert a.membership().name == "elsewhere"
        lab.kill("n3")
        assert d.at_end()
        d.close()
        for client in (a, c):
            signal = client.frame()
            assert (signal.kind, signal.name, len(signal.data)) == (0x2000, "g", 12)
            change = client.membership()
            assert (change.name, change.cause) == ("g", "network"), "nothing of other groups"
            assert change.groups == ("#a#n1", "#c#n2")
            assert change.vs_sets == ((("#a#n1", "#c#n2"),), 0)
        lab.start("n3", "--spread", "{}:{}".format(*at["n3"]))
        until("it listens", lambda: listens(at["n3"]))
        with entered(at["n3"], "d") as again:
            again.send(JOIN, "g")
            while len((joined := again.membership()).groups) < 3:
                pass  # its own node joins the others first, or it joins alone and they merge
            assert joined.groups == ("#a#n1", "#c#n2", "#d#n3")
            news = a.membership()
            assert (news.groups, news.id) == (joined.groups, joined.id)
