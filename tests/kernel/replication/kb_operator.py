"""What an operator says in a room, and rooms in which somebody has to."""

from __future__ import annotations

from kb_room import Room, settled

from zactor.kernel.replication.losses import Losses

ABC = ("n1", "n2", "n3")


def recover(room: Room, name: str, founding: str = "new") -> None:
    room.call(name, lambda replica: replica.recover(founding, 3.0))


def forget(room: Room, name: str, *dead: str) -> None:
    for one in dead:
        room.call(name, lambda replica, one=one: replica.forget(one, 3.0))


def losses(room: Room, name: str) -> Losses:
    found = room.replicas[name].losses()
    assert found is not None
    return found


def alone(name: str = "n1") -> Room:
    """Three were the primary; all but one died at once."""
    room = settled(*ABC)
    room.die(*(other for other in ABC if other != name))
    room.view(name)
    room.run()
    assert not room.primaries()
    return room


def founding_cut_off() -> Room:
    """All but n3 have recorded the attempt to found a cluster with it; n3 dies for good."""
    room = Room(*ABC)
    room.view(*ABC)
    room.run()
    room.stuck_disks.add("n3")
    room.found("n1")
    room.run()
    room.die("n3")
    room.view("n1", "n2")
    room.run()
    assert not room.primaries()
    return room


def texts(room: Room, name: str) -> list[str]:
    return room.replicas[name].theory.texts()
