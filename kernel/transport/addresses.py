"""Addresses of doors: as people write them, as ZeroMQ calls them, and what they tell."""

from __future__ import annotations

import ipaddress
import re
import socket

from zactor.kernel.errors import ConfigError, Refused

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_\-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_\-]+)*\.?"
)
_PORT = re.compile(r"[0-9]{1,5}")


def parse_address(address: str) -> tuple[str, int | None]:
    """Return (host, port or None) of "HOST", "HOST:PORT", "[IPV6]", "[IPV6]:PORT".

    A leading "tcp://" is dropped, so what `endpoint` returns can be parsed again. The host of an
    IPv6 address comes without its brackets.

    Raises:
        ConfigError: it is none of these.
    """
    text = address.removeprefix("tcp://")
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or not _is_ipv6(host):
            raise _bad_address(address, "no IPv6 address stands in the brackets")
        colon, port = rest[:1], rest[1:]
        if colon not in ("", ":"):
            raise _bad_address(address, "something follows the bracket")
    else:
        host, colon, port = text.partition(":")
        if ":" in port:
            raise _bad_address(address, "an IPv6 address belongs in brackets")
        if not _is_host(host):
            raise _bad_address(address, "that is no host")
    if not colon:
        return host, None
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65_535:
        raise _bad_address(address, "a port is a number from 1 to 65535")
    return host, int(port)


def endpoint(host: str, port: int) -> str:
    """Return what ZeroMQ calls this address: "tcp://HOST:PORT", IPv6 in brackets."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def plain(endpoint: str) -> str:
    """Return HOST:PORT, as people write it."""
    return endpoint.removeprefix("tcp://")


def foreign(endpoint: str) -> Refused:
    """Return the error of a door whose keys are another cluster's."""
    return Refused(
        f"{plain(endpoint)} belongs to another cluster than this home: "
        "run `zactor keys token` there and `zactor keys join TOKEN` here"
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_numeric(host: str) -> bool:
    """Return whether `host` is an address in numbers, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def numbers_of(host: str) -> str:
    """Return an address of a host: IPv4 if it has one, as libzmq takes it. It may take its time.

    Raises:
        OSError: there is no such host.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def _is_host(host: str) -> bool:
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return ipaddress.ip_address(host).version == 4
        except ValueError:
            return False
    return _HOST_NAME.fullmatch(host) is not None


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _bad_address(address: str, why: str) -> ConfigError:
    return ConfigError(f"{address!r} is no address: {why}; want HOST, HOST:PORT or [IPV6]:PORT")
