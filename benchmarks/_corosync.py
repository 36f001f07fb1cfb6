"""Corosync on hosts of a lab, with Debian's defaults, for `lab_faults.py --corosync`.

Each host has an own /var/lib/corosync, /run and /dev/shm, as a machine has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

PROCESS = "corosync"
_MEMBERS = re.compile(r"\[QUORUM\] Members\[\d+\]: ([\d ]+)")
_OWN = ("/var/lib/corosync", "/run", "/dev/shm")

# As /etc/corosync/corosync.conf of Debian's package, with these nodes and without a file for logs.
_CONFIGURATION = """
totem {{
    version: 2
    cluster_name: debian
    crypto_cipher: none
    crypto_hash: none
}}
logging {{
    fileline: off
    to_stderr: yes
    to_logfile: no
    to_syslog: no
    debug: off
}}
quorum {{
    provider: corosync_votequorum
}}
nodelist {{
{nodes}
}}
"""


def words_of(addresses: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command that runs corosync on a host; `addresses` of all hosts."""
    nodes = "\n".join(
        f"    node {{\n name: {name}\n nodeid: {number}\n ring0_addr: {address}\n }}"
        for number, (name, address) in enumerate(addresses.items(), 1)
    )
    lines = [f"mkdir -p {folder} && mount -t tmpfs tmpfs {folder}" for folder in _OWN]
    lines += [
        f"cat > /tmp/corosync.conf <<END\n{_CONFIGURATION.format(nodes=nodes)}\nEND",
        "exec corosync -f -c /tmp/corosync.conf",
    ]
    return "sh", "-ec", "\n".join(lines)


def members_in(text: str, names: tuple[str, ...]) -> set[str] | None:
    """Return whom a line of corosync's log has for members; None if it is another."""
    found = _MEMBERS.search(text)
    return {names[int(number) - 1] for number in found[1].split()} if found else None
