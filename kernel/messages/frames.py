"""Frames, which sockets carry: items of links, requests, answers, heartbeats."""

from __future__ import annotations

from zactor.kernel.messages.actors import (
    Ask,
    AskCycle,
    AskProbe,
    Bulk,
    Failure,
    InMemory,
    MemoryFreed,
    MemoryRead,
    Reply,
    ShareMemory,
    Signal,
    SignalParcel,
    Undelivered,
    Withdrawn,
)
from zactor.kernel.messages.base import Message
from zactor.kernel.messages.groups import EngineMessage, GroupHeartbeat
from zactor.kernel.messages.knowledge import KbLinked
from zactor.kernel.messages.operations import Answer, Problem, Request

Item = (
    Signal
    | SignalParcel
    | Ask
    | Reply
    | Failure
    | Undelivered
    | AskProbe
    | AskCycle
    | Withdrawn
    | Bulk
    | InMemory
    | ShareMemory
    | MemoryRead
    | MemoryFreed
    | KbLinked
    | Request
    | Answer
    | Problem
    | EngineMessage
    | GroupHeartbeat
)


class LinkFrame(Message, frozen=True, tag=80):
    """One frame of a link between two incarnations. Numbers of items begin at 1 and only grow;
    an item has as many as it weighs."""

    source: int  # incarnation of the sender
    target: int  # incarnation of the receiver
    first: int  # number of items[0]; without items: the next number
    received: int  # everything up to this number of yours has arrived
    granted: int  # you may have sent this many credited items in all
    probe: bool  # answer at once: where do you stand?
    again: bool  # something is missing: send all that follows `received` again
    items: tuple[Item, ...]


Outbound = Answer | Problem

"""What a node answers at its door."""


class Heartbeat(Message, frozen=True, tag=90):
    """Published by every node from the kernel's own loop, at the group engine's pace.

    To a peer that doesn't hear what is published it goes to the door.
    """

    clock: tuple[int, int]  # of its knowledge base
    linked: tuple[str, ...]  # name@incarnation of its peers; who isn't among them was dropped
    unheard: tuple[str, ...]  # names of those whose published heartbeats don't come here
    group: GroupHeartbeat


Inbound = LinkFrame | Request | Heartbeat

"""What may arrive at a door: frames of links and heartbeats (node keys), requests (door key)."""
