"""Effects of the engine as lines of the event log (INVARIANTS.md of the design)."""

from __future__ import annotations

from zactor.kernel.ids import NodeId
from zactor.kernel.protocol import effects as out
from zactor.kernel.protocol.messages import GroupData
from zactor.kernel.protocol.view import SessionId, ViewId
from zactor.testing.history import Line


def view_of(view: ViewId) -> list[object]:
    """A view id as the log has it."""
    return [view.epoch, str(view.coordinator)]


def _sessions(members: tuple[SessionId, ...]) -> list[list[str]]:
    return [[str(member.node), member.session] for member in members]


def message_id(node: NodeId, number: int) -> str:
    """A message's name, unique in the cluster."""
    return f"{node}#{number}"


def _message(data: GroupData) -> Line:
    return {
        "mid": message_id(data.sender, data.number),
        "v": view_of(data.view),
        "service": data.service.value,
        "groups": list(data.groups),
        "op": data.kind.value,
        "session": data.session,
        "discard": data.discard,
    }


def line_of(effect: out.Effect) -> Line | None:
    """The log's line for an effect, without time and process; None if it leaves no trace."""
    match effect:
        case out.Sent():
            return {"k": "send", **_message(effect.message)}
        case out.Deliver():
            line: Line = {"k": "deliver", **_message(effect.message)}
            return line | {"trans": effect.transitional, "to": list(effect.sessions)}
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
        case out.Trace():
            return {"k": "note", "event": effect.event, "fields": dict(effect.fields)}
        case out.Send() | out.SendUnreliably() | out.Publish():
            return None
