"""The method PWORD: its file, and programs that say a user and a password, over real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_spread import JOIN, RawSpread, request
from spread_world import solo_port

from zactor.kernel.errors import ConfigError
from zactor.spread import SpreadConnection, SpreadRefused
from zactor.spread import c_api as sp
from zactor.spread import c_constants as c
from zactor.supervisor.spread.config_file import read_config
from zactor.supervisor.spread.daemon_config import daemon_settings
from zactor.supervisor.spread.handshake import credentials, read_credentials
from zactor.supervisor.spread.passwords import read_passwords
from zactor.supervisor.spread.spread_settings import AccessRules

# "sekrit" by crypt's oldest way and by a new one, for two users.
TEXT = """# who may come in
ann:abfbSiOREpOPQ

bob:$6$I0LnPCwfZ1henuUo$wTgaKT0286VehpOPe.D0nfSQv4bAxL8i1oMAE2q9EL/3OzbRH6/WxAcGSggX0UVVeKSBrCLUQ3Of1WaC/jQFU.
"""
CHOICE = b"PWORD".ljust(90, b"\0")


def test_the_file_says_who_comes_in_with_what() -> None:
    found = read_passwords(TEXT, "spread.access_pword")
    for user in ("ann", "bob"):
        assert found.admits(user, b"sekrit")
        for wrong in (b"", b"sekri", b"sekrit2", b"SEKRIT"):
            assert not found.admits(user, wrong)
    assert not found.admits("eve", b"sekrit")
    assert not found.admits("", b"")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ann", "want USER:HASH"),
        (":abfbSiOREpOPQ", "want USER:HASH"),
        ("x" * 32 + ":abfbSiOREpOPQ", "up to 31 bytes"),
        ("eve:sekrit", "no hash that crypt knows"),
        ("eve:$nosuch$abcdefghijklmnopqrstuvwxyz", "no hash that crypt knows"),
        ("ann:abfbSiOREpOPQ", "stands there twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(line: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as raised:
        read_passwords(f"{TEXT}{line}\n", "spread.access_pword")
    assert str(raised.value).startswith("spread.access_pword:5: ")


@pytest.mark.parametrize("given", [("", "x"), ("x" * 32, "x"), ("a", "123456789"), ("a\0", "x")])
def test_what_does_not_travel_is_refused(given: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="1 to 31 bytes"):
        credentials(*given)
    assert read_credentials(credentials("ann", "12345678")) == ("ann", b"12345678")


def settings(*methods: str, required: tuple[str, ...] = ()) -> dict[str, object]:
    return {
        "methods": methods,
        "required": required,
        "passwords": read_passwords(TEXT, "file"),
        "access": AccessRules(is_unix=True),
    }


def test_the_exchange_byte_for_byte_however_it_is_cut() -> None:
    known = b"ann\0" + b"x" * 28 + b"sekrit\0x"  # what is behind a 0 may be anything
    with solo_port("d1", **settings("NULL", "PWORD")) as at:
        for cuts in ((), (90,), (90, 122), (1, 89, 91, 121, 129)):
            client = RawSpread(at)
            client.hello("a")
            assert client.read(12) == b"\x0bNULL PWORD "
            whole = CHOICE + known
            for start, end in zip((0, *cuts), (*cuts, len(whole)), strict=True):
                client.socket.sendall(whole[start:end])
            assert client.read(11) == b"\1" + b"\1\4\4\0\5#a#d1"
            client.socket.sendall(request(JOIN, "#a#d1", ("g",)))
            assert client.membership().cause == "join"
            client.send(0x40000, "")  # this one speaks for nobody: cut off
            assert client.at_end()
            client.close()


@pytest.mark.parametrize(
    "known",
    [
        credentials("ann", "wrong"),
        credentials("eve", "sekrit"),
        bytes(40),
        b"\xff" * 40,
        b"ann" + b"x" * 37,
    ],
)
def test_who_says_something_else_gets_a_zero_and_goes(known: bytes) -> None:
    with solo_port("d1", **settings("PWORD")) as at:
        client = RawSpread(at)
        client.hello("a")
        assert client.read(7) == b"\6PWORD "
        client.socket.sendall(CHOICE + known)
        assert client.read(3) == b"\0\xf7"
        client.close()
        # The name is free again, and who knows the password gets in.
        with SpreadConnection(
            f"{at[1]}@127.0.0.1", "b", methods=("PWORD",), password=("bob", "sekrit")
        ):
            pass


def test_many_wrong_ones_hold_up_nobody() -> None:
    with solo_port("d1", **settings("NULL", "PWORD")) as at:
        clients = []
        for _ in range(50):
            client = RawSpread(at)
            client.hello()
            client.socket.sendall(CHOICE + credentials("bob", "wrong"))
            clients.append(client)
        silent = RawSpread(at)
        silent.hello("silent")
        silent.socket.sendall(CHOICE + b"ann")  # and no more
        with SpreadConnection(f"{at[1]}@127.0.0.1", "a") as honest:
            honest.join("g")
            honest.receive(20)
        for client in clients:
            assert client.read(12) == b"\x0bNULL PWORD "
            assert client.read(3) == b"\0\xf7"
            client.close()
        silent.close()


@pytest.mark.parametrize("chosen", [(b"NULL",), (b"IP", b"NULL"), ()])
def test_where_it_is_required_others_are_not_enough(chosen: tuple[bytes, ...]) -> None:
    with solo_port("d1", **settings("NULL", "IP", "PWORD", required=("PWORD",))) as at:
        client = RawSpread(at)
        client.hello("a")
        assert client.read(15) == b"\x0eNULL IP PWORD "
        slots = b"".join(each.ljust(30, b"\0") for each in chosen)
        client.socket.sendall(slots.ljust(90, b"\0"))
        assert client.read(2) == b"\xf7"
        client.close()
        old = RawSpread(at)
        old.socket.sendall(b"\3\x0f\0\1\1a")  # a library that has no methods
        assert old.read(2) == b"\xf7"
        old.close()


def test_several_methods_have_to_pass_all() -> None:
    with solo_port("d1", **settings("IP", "PWORD", required=("IP",))) as (_, port):
        for daemon, password, passes in (
            (f"{port}", "sekrit", True),
            (f"{port}", "wrong", False),
            (f"{port}@127.0.0.1", "sekrit", False),  # IP admits the Unix socket only
        ):
            sp.SP_set_auth_methods(("IP", "PWORD"), (None, ("ann", password)))
            try:
                if passes:
                    sp.SP_disconnect(sp.SP_connect(daemon, "a")[0])
                    continue
                with pytest.raises(sp.SpreadError) as raised:
                    sp.SP_connect(daemon, "a")
                assert raised.value.code == c.REJECT_AUTH
            finally:
                sp.SP_set_auth_method("NULL")
        with pytest.raises(sp.SpreadError):
            sp.SP_set_auth_method("PWORD")


def test_a_program_without_one_is_told_before_it_connects() -> None:
    with pytest.raises(ConfigError, match="wants a user and a password"):
        SpreadConnection("1@127.0.0.1", "a", methods=("PWORD",))
    with (
        solo_port("d1") as (_, port),
        pytest.raises(SpreadRefused, match="it offers the methods 'NULL'"),
    ):
        SpreadConnection(f"{port}@127.0.0.1", "a", methods=("PWORD",), password=("ann", "sekrit"))


def test_the_configuration_names_the_method_and_the_file_lies_beside_it(tmp_path: Path) -> None:
    text = (
        "Spread_Segment 127.0.0.1:4803 { d1 127.0.0.1 }\n"
        'AllowedAuthMethods = "PWORD KERBEROS"\nRequiredAuthMethods = "PWORD"\n'
    )
    file = tmp_path / "spread.conf"
    config = read_config(text, str(file))
    assert config.methods == config.required == ("PWORD",)
    assert config.unused == ("AllowedAuthMethods KERBEROS",)
    with pytest.raises(ConfigError, match=r"there is no .*spread\.access_pword: write USER"):
        daemon_settings(config, config.daemon("d1"), str(file))
    (tmp_path / "spread.access_pword").write_text(TEXT)
    made = daemon_settings(config, config.daemon("d1"), str(file))
    assert made.passwords.admits("ann", b"sekrit")
    (tmp_path / "spread.access_pword").write_text("ann\n")
    with pytest.raises(ConfigError, match=r"spread.access_pword:1: want USER:HASH"):
        daemon_settings(config, config.daemon("d1"), str(file))
