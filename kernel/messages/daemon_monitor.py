"""What Spread's monitor asks of a daemon: how it is, and what tests of a network need."""

from __future__ import annotations

from typing import Annotated

import msgspec

from zactor.kernel.messages.base import Count, Message


class DaemonStatus(Message, frozen=True, tag=131):
    """How is the daemon that is this node?"""

    node: str


class CutDaemons(Message, frozen=True, tag=132):
    """Have nothing to do with nodes of other parts, for a while; without parts: heal."""

    node: str
    parts: tuple[tuple[str, ...], ...]  # names of nodes, each once
    lasts_s: Annotated[float, msgspec.Meta(gt=0, le=3_600)]


class LimitFlow(Message, frozen=True, tag=133):
    """How many messages of this node may be on their way; 0: as by itself."""

    node: str
    window: Count  # of all daemons together
    own_window: Count


class StopDaemon(Message, frozen=True, tag=134):
    """End this node, in good order."""

    node: str


class ReloadConfig(Message, frozen=True, tag=135):
    """Read the configuration file again."""

    node: str


MonitorOperation = DaemonStatus | CutDaemons | LimitFlow | StopDaemon | ReloadConfig
"""Operations for the node that is asked, and no other: each names it."""
