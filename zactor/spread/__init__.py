"""Programs at the port of a daemon of Spread, theirs or zactor's: plain sockets, no node's door."""

from zactor.spread.client_frames import (
    Cause,
    SpreadLeft,
    SpreadMembership,
    SpreadMessage,
    SpreadNews,
    SpreadTransitional,
)
from zactor.spread.client_session import SpreadRefused
from zactor.spread.connection import AsyncSpreadConnection, SpreadConnection, spread_address

__all__ = [
    "AsyncSpreadConnection",
    "Cause",
    "SpreadConnection",
    "SpreadLeft",
    "SpreadMembership",
    "SpreadMessage",
    "SpreadNews",
    "SpreadRefused",
    "SpreadTransitional",
    "spread_address",
]
