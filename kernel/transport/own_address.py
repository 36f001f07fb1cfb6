"""The address that a node tells others: what --advertise says, where it is bound, or one it picks.

Who listens on all addresses has no single one; told 0.0.0.0, others would call themselves.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog

from zactor.kernel.errors import ConfigError
from zactor.kernel.transport.addresses import (
    endpoint,
    is_loopback,
    is_numeric,
    numbers_of,
    parse_address,
)
from zactor.kernel.transport.socket_context import Address

log = structlog.get_logger()

_SIOCGIFADDR = 0x8915  # an interface's IPv4 address; see netdevice(7)
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")
# Addresses for documentation (RFC 5737, 3849): the way to them is the default route. Nothing is
# sent there.
_ELSEWHERE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


def told_to_others(address: Address, door: str) -> str:
    """Return the endpoint of the door that is bound at `door`, as others are to call it.

    Raises:
        ConfigError: nobody elsewhere could call there, or it isn't clear which address is meant.
    """
    bound, port = _split(door)
    if address.advertise is None:
        return door if not is_any(bound) else endpoint(_picked(bound, address.towards), port)
    host, told_port = address.advertise
    if is_any(host):
        raise ConfigError(
            f"--advertise {host} is no address that others can call: say one of this machine"
        )
    if is_loopback(host) and not is_loopback(bound):
        raise ConfigError(
            f"--advertise {host} is this machine only, for everybody who is told it, and --bind"
            f" {bound} is for others: advertise an address that they reach"
        )
    return endpoint(_ipv6_of(host) or host, told_port or port)


def _ipv6_of(name: str) -> str:
    """Return the address of a host that has IPv6 only, "" of others.

    A name is for others to look up, each for itself; but libzmq would look for IPv4 only, see
    `connect_to`.
    """
    if is_numeric(name):
        return ""
    try:
        found = numbers_of(name)
    except OSError:
        return ""  # others may know it
    return found if ":" in found else ""


def near_door(door: str) -> str:
    """Return the endpoint by which this machine calls the door that is bound at `door`."""
    host, port = _split(door)
    if not is_any(host):
        return door
    return endpoint("::1" if ":" in host else "127.0.0.1", port)


def is_any(host: str) -> bool:
    """Return whether `host` stands for all addresses of a machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def is_here(host: str) -> bool:
    """Return whether the address `host`, in numbers, is one of this machine."""
    return is_loopback(host) or _is_ours(host)


def _is_ours(host: str) -> bool:
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(found), 0))
    except OSError:
        return False
    return True


def _split(door: str) -> tuple[str, int]:
    host, port = parse_address(door)
    assert port is not None, door
    return host, port


# -- which of several ------------------------------------------------------------------------
def _picked(bound: str, towards: Sequence[str]) -> str:
    """Return the address by which we go to those whom we join; else the only one; else the one
    that the default route has, since a machine with containers has several.
    """
    families = [socket.AF_INET] if bound == "0.0.0.0" else [socket.AF_INET6, socket.AF_INET]
    ours = [host for family in families for host in _addresses(family)]
    ways = [_source(family, _split(there)[0]) for there in towards for family in families]
    ways += ours if len(ours) == 1 else [_source(family, _ELSEWHERE[family]) for family in families]
    way = next((host for host in ways if host and not is_loopback(host)), None)
    if way is not None:
        log.info("address_picked", address=way, others=[host for host in ours if host != way])
        return way
    if not ours:  # no network: nobody elsewhere could call anyway
        log.warning("address_picked", address="127.0.0.1", why="this machine has no other address")
        return "127.0.0.1"
    raise ConfigError(
        f"--bind {bound} listens on all addresses, and this machine has {', '.join(ours)}:"
        " say with --advertise which one the others can reach"
    )


def _source(family: socket.AddressFamily, there: str) -> str | None:
    """Return our address on the way to `there`; None if there is no way, or no such host."""
    try:
        found = socket.getaddrinfo(there, 9, family, socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(found[0][4])  # of UDP: it sends nothing
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _addresses(family: socket.AddressFamily) -> list[str]:
    """Return this machine's addresses that others may reach, one for an interface (IPv4)."""
    found = _ipv4() if family == socket.AF_INET else _ipv6()
    return [host for host in found if not is_loopback(host)]


def _ipv4() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # an interface without one
            yield socket.inet_ntoa(answer[20:24])


def _ipv6() -> Iterator[str]:
    try:
        lines = _IPV6_ADDRESSES.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        digits, _, _, scope, *_ = line.split()
        if scope == "00":  # global: others may reach it without naming an interface
            yield str(ipaddress.IPv6Address(bytes.fromhex(digits)))
