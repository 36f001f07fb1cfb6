"""The flush: what a node does between its report on a view and the next view. One for each view.

The plan of its cohort names messages; this gets what is missing here, and then knows what is still
to be delivered before the transitional signal and after it. The rule a reader must not break: the
plan's obligation is taken over when all of the plan is here, before Ready is said.
"""

from __future__ import annotations

from zactor.kernel.groups.effects import Send
from zactor.kernel.groups.ordering import Ordering, Range, add_to_ranges
from zactor.kernel.groups.process_groups import ProcessGroups
from zactor.kernel.groups.recovery import Place, Schedule
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupPacket, GroupState, Plan, Report, Sync, Want


class Flush:
    """One node's way out of one view."""

    def __init__(self, me: NodeId, order: Ordering) -> None:
        self.regular: list[GroupPacket] = []  # to be delivered before the signal
        self.transitional: list[GroupPacket] = []  # and after it
        self._me = me
        self._order = order
        self._obligation: tuple[NodeId, ...] = ()
        self._missing: set[Place] = set()  # named by the plan and not here yet

    def report(self, stable: int) -> Report:
        """What this node has of its view. Args: `stable` is the line as far as it knows."""
        return Report(
            view=self._order.view.id,
            delivered=self._order.delivered,
            stable=stable,
            obligation=self._obligation,
            streams=self._order.states(self._me),
        )

    def begin(self, plan: Plan) -> list[Send]:
        """Ask the holders for what the plan names and this node lacks."""
        wanted: dict[NodeId, list[Range]] = {}
        self._missing.clear()
        for state in plan.streams:
            for entry in state.held:
                if self._order.has(state.sender, entry.sequence):
                    continue
                self._missing.add(Place(state.sender, entry.sequence))
                add_to_ranges(wanted.setdefault(entry.holder, []), state.sender, entry.sequence)
        view = self._order.view.id
        return [Send((holder,), Want(view, tuple(wanted[holder]))) for holder in sorted(wanted)]

    def recover(self, packet: GroupPacket) -> None:
        """Take in a packet if the plan names it and it isn't here.

        Raises:
            RemoteProtocolError: it can't stand where it says; nothing changed.
        """
        place = Place(packet.sender, packet.sequence)
        if place in self._missing:
            self._order.recover(packet)
            self._missing.remove(place)

    @property
    def is_complete(self) -> bool:
        """True if all that the plan names is here."""
        return not self._missing

    def finish(
        self, sync: Sync, schedule: Schedule, groups: ProcessGroups
    ) -> tuple[GroupState, ...]:
        """Note what is to be delivered when the view comes; return the groups as it leaves them.

        From here on the cohort shares all it has, so what its members sent must be delivered
        whatever becomes of this attempt: else one of them could deliver a message as SAFE that
        another drops later.
        """
        self._obligation = sync.plan.obligation
        self.regular = self._order.undelivered(schedule.regular)
        self.transitional = self._order.undelivered(schedule.transitional)
        after = groups.copy()
        for packet in self.regular:
            after.apply(packet)
        after.transitional(sync.plan.cohort, sync.ballot, sync.members)
        for packet in self.transitional:
            after.apply(packet)
        return after.states()
