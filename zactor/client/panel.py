"""Panel of one actor, from outside: what it shows, and how it is driven."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, NoSuchActor, NoSuchThing, RemoteProtocolError
from zactor.kernel.messages.operations import LookAtPanels

if TYPE_CHECKING:
    from zactor.client.master import Master, Row


class ActorPanel:
    """Follows the panel of one actor, wherever it is. One loop's."""

    def __init__(self, master: Master, actor: str) -> None:
        """Nothing is asked before `look`."""
        self._master = master
        self.actor = actor
        self.node = ""
        self.controls: list[Row] = []
        self.values: dict[str, object] = {}
        self.lines: dict[str, list[float]] = {}  # of each Line: the values since we look
        self._version = 0

    async def look(self, wait_s: float = 0.0) -> bool:
        """Wait up to `wait_s` for something new; return whether there is.

        Raises:
            NoSuchActor: it isn't there. NoSuchThing: it has no panel.
        """
        if not self.node:
            self.node = await self._find()
        try:
            rows = await look_at_panels(
                self._master, self.node, {self.actor: self._version}, wait_s
            )
        except NoSuchThing:
            self.node = ""  # it moved, or its node went
            raise
        for row in rows:
            self._version = int(str(row["version"]))
            controls, values = row["controls"], row["values"]
            if not isinstance(controls, list) or not controls or not isinstance(values, dict):
                self.node = ""
                raise NoSuchThing(
                    f"{self.actor} has no panel: give its class one, panel = Panel(Number(…), …)"
                )
            self.controls, self.values = controls, values
            self._note_lines()
        return bool(rows)

    async def _find(self) -> str:
        for row in await self._master.actors():
            if row["name"] == self.actor:
                return str(row["node"])
        raise NoSuchActor(f"there is no actor {self.actor}: `zactor ps` shows who is there")

    def _note_lines(self) -> None:
        for control in self.controls:
            value = self.values.get(str(control["name"]))
            if control["kind"] == "line" and isinstance(value, int | float):
                kept = self.lines.setdefault(str(control["name"]), [])
                kept.append(float(value))
                del kept[: -limits.PANEL_LINE_VALUES_MAX]

    async def drive(self, name: str, value: object = None) -> None:
        """Press the button, or move the switch or slider, `name` to `value`."""
        await drive(self._master, self.actor, self.controls, name, value)


async def look_at_panels(
    master: Master, node: str, after: Mapping[str, int], wait_s: float
) -> list[Row]:
    """Return what actors of a node show: name, version, controls and values. In an event loop.

    Args:
        after: by actor, the version that is known (0: none): others are told only.
        wait_s: up to so long for the first that changes.
    """
    operation = LookAtPanels(node=node, after=dict(after), wait_s=wait_s)
    asked = master.connection.request(operation, wait_s + limits.CLIENT_REQUEST_S)
    try:
        return msgspec.convert(await asyncio.wrap_future(asked), list[dict[str, object]])
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"these are no panels: {error}") from None


async def drive(
    master: Master, actor: str, controls: Sequence[Row], name: str, value: object = None
) -> None:
    """Do what the control `name` of a panel does.

    Raises:
        NoSuchThing: the panel has none of that name that does something.
        ConfigError: that is no value for it.
    """
    found = [each for each in controls if each.get("does") and each["name"] == name]
    if not found:
        can = ", ".join(str(each["name"]) for each in controls if each.get("does")) or "nothing"
        raise NoSuchThing(f"the panel of {actor} has no {name!r} to drive: it has {can}")
    control = found[0]
    arguments: tuple[object, ...] = ()
    if control["kind"] == "switch":
        if not isinstance(value, bool):
            raise ConfigError(f"{name} of {actor} wants true or false, not {value!r}")
        arguments = (value,)
    elif control["kind"] == "slider":
        low, high = control["low"], control["high"]
        assert isinstance(low, int | float), control
        assert isinstance(high, int | float), control
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and low <= float(str(value)) <= high):
            raise ConfigError(f"{name} of {actor} wants a number from {low} to {high}")
        arguments = (value,)
    if control.get("by") == "signal":
        await master.send_signal(actor, str(control["does"]), *arguments)
    else:
        await master.tell(actor, str(control["does"]), *arguments)
