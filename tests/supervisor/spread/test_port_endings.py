"""Programs that leave without a word, come again at once, or are sent away: over real sockets."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest
from daemon_world import daemon_world
from raw_spread import AGREED, JOIN, RELIABLE, RawSpread, entered, request
from spread_world import solo_port

MANY = 400  # messages of 100 kB: more than the system keeps for who doesn't read


def flood(sender: RawSpread, group: str) -> None:
    """Send more to a group than a member that doesn't read can take: the rest waits at the port."""
    sender.socket.sendall(request(RELIABLE, sender.own, (group,), bytes(100_000)) * MANY)


def test_who_shuts_its_sending_side_has_left_even_if_it_reads_nothing() -> None:
    """What waits for it is dropped, its groups see it go, and who waited for it goes on."""
    with solo_port() as at, entered(at, "half") as half, entered(at, "other") as other:
        other.send(JOIN, "g")
        other.membership()
        half.send(JOIN, "full")
        half.send(JOIN, "g")
        assert other.membership().cause == "join"
        with entered(at, "sender") as sender:
            flood(sender, "full")
            half.socket.shutdown(socket.SHUT_WR)
            assert other.membership().cause == "disconnect"
            sender.send(AGREED, "g", data=b"goes on")
            assert other.data().data == b"goes on"


def test_a_name_is_free_again_although_requests_of_its_program_wait() -> None:
    """It waits for a reader; who comes again under its name waits for the end of that."""
    with solo_port() as (_, port), entered(f"/tmp/{port}", "sleeper") as sleeper:
        at = f"/tmp/{port}"  # over TCP the end of a program comes behind all that it has sent
        sleeper.send(JOIN, "full")
        sleeper.membership()
        with entered(at, "sender") as sender:
            flood(sender, "full")
        with contextlib.closing(RawSpread(at)) as again:
            again.hello("sender")
            again.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                again.read(1)
            sleeper.close()
            again.socket.settimeout(20)
            assert again.read(6) == b"\5NULL "


def test_a_name_is_in_use_as_long_as_requests_of_its_program_wait_for_long() -> None:
    with solo_port() as (_, port), entered(f"/tmp/{port}", "sleeper") as sleeper:
        at = f"/tmp/{port}"  # over TCP the end of a program comes behind all that it has sent
        sleeper.send(JOIN, "full")
        sleeper.membership()
        with entered(at, "sender") as sender:
            flood(sender, "full")
        with contextlib.closing(RawSpread(at)) as again:
            began = time.monotonic()
            again.hello("sender")
            assert again.read(2) == b"\xfa"
            assert time.monotonic() - began > 1


def test_programs_that_look_localhost_up_may_come_by_ipv6() -> None:
    """As libraries of Spread 5 do where `localhost` has two addresses."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    with (
        solo_port() as at,
        entered(at, "four") as four,
        contextlib.closing(RawSpread(at)) as six,
    ):
        six.socket.close()
        six.socket = socket.create_connection(("::1", at[1]), 20)
        six.enter("six")
        six.send(AGREED, four.own, data=b"hello")
        assert four.data().name == six.own


def test_how_programs_were_sent_away_is_counted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with daemon_world(tmp_path_factory.mktemp("counted")) as world:
        world.write(["d1"])
        world.start("d1")
        at = world.at("d1")
        for hello in (b"\3\0\0\1\1a", b"\4\4\0\1\3a b"):
            client = RawSpread(at)
            client.socket.sendall(hello)
            assert len(client.read(2)) == 1
            client.close()
        with entered(at, "rude") as rude:
            rude.socket.sendall(bytes(48))
            assert rude.at_end()
        done = world.run("spmonitor", "status", "--json")
        for words in ('"refused": 2', '"silent": 0', '"programs_cut_off": 1'):
            assert words in done.stdout, done.stdout
        done = world.run("spmonitor", "status")
        assert "Programs :  refused 2\tsilent 0\tcut off 1" in done.stdout
