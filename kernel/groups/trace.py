"""Effects of the group engine as lines of the event log, for nodes and for the simulator alike.

A line here has no time and no process yet: who writes it adds them.
"""

from __future__ import annotations

from typing import Any

from zactor.kernel.groups import effects as out
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import GroupItem, GroupPacket
from zactor.kernel.messages.views import SessionId, ViewId

Line = dict[str, Any]  # JSON types only


def view_of(view: ViewId) -> list[object]:
    """A view id as the log has it."""
    return [view.epoch, str(view.coordinator)]


def _sessions(members: tuple[SessionId, ...]) -> list[list[str]]:
    return [[str(member.node), member.session] for member in members]


def message_id(node: NodeId, number: int) -> str:
    """A message's name, unique in the cluster."""
    return f"{node}#{number}"


def _message(packet: GroupPacket, item: GroupItem, place: int) -> Line:
    return {
        "mid": message_id(packet.sender, item.number + place),
        "v": view_of(packet.view),
        "service": item.service.value,
        "groups": list(item.groups),
        "op": packet.kind.value,
        "session": item.session,
        "discard": item.discard,
    }


def lines_of(effect: out.Effect) -> list[Line]:
    """The log's lines for an effect, without time and process; none if it leaves no trace."""
    match effect:
        case out.Sent():
            packet = effect.packet
            return [
                {"k": "send", **_message(packet, item, place)}
                for item in packet.items
                for place in range(item.count)
            ]
        case out.Deliver():
            packet = effect.packet
            return [
                {
                    "k": "deliver",
                    **_message(packet, item, place),
                    "trans": effect.transitional,
                    "to": list(sessions),
                }
                for item, sessions in zip(packet.items, effect.sessions, strict=True)
                for place in range(item.count)
            ]
        case _:
            line = _line_of(effect)
            return [line] if line is not None else []


def _line_of(effect: out.Effect) -> Line | None:
    match effect:
        case out.ViewInstalled():
            members = [str(node) for node in effect.view.members]
            return {"k": "view", "v": view_of(effect.view.id), "members": members}
        case out.Transitional():
            members = [str(node) for node in effect.members]
            return {"k": "trans", "v": view_of(effect.view), "members": members}
        case out.GroupView():
            return {
                "k": "gview",
                "group": effect.group,
                "gid": [view_of(effect.id.view), effect.id.index],
                "members": _sessions(effect.members),
                "cause": effect.cause.value,
                "sets": [_sessions(part) for part in effect.sets],
                "own": effect.own,
                "to": list(effect.sessions),
            }
        case out.GroupTransitional():
            gid = [view_of(effect.id.view), effect.id.index]
            return {"k": "gtrans", "group": effect.group, "gid": gid, "to": list(effect.sessions)}
        case out.GroupLeft():
            return {"k": "gleft", "group": effect.group, "session": effect.session}
        case out.Pause() | out.Resume():
            return {"k": type(effect).__name__.lower()}
        case Trace():
            return {"k": "note", "event": effect.event, "fields": dict(effect.fields)}
        case _:
            return None
