"""Panel: what an actor shows of itself and how it is driven by hand, as data on its class.

`panel = Panel(Number("number"), Button("inc"))`: who shows something names an attribute of the
actor, who does something names a signal or an action of the class. Both are checked when the class
is made. Values are plain data; anything else is shown by the name of its type.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ClassVar

from zactor.kernel import limits
from zactor.kernel.actors.emitter import Declared
from zactor.kernel.errors import ConfigError
from zactor.kernel.homes import at_home

Plain = None | bool | int | float | str | list[Any]


@dataclass(frozen=True, slots=True)
class Control:
    """One part of a panel; `name` is an attribute of the actor, or of a Button what it does."""

    kind: ClassVar[str] = ""
    shows: ClassVar[bool] = True

    name: str
    label: str = ""  # "": the name

    def __post_init__(self) -> None:
        given: tuple[object, ...] = (self.name, self.label)
        if not all(isinstance(each, str) for each in given):
            raise ConfigError(f"name and label are text, give the others by name: {self!r}")

    @property
    def does(self) -> str:
        """The signal or action that it sets off; "" of what only shows."""
        return ""

    def spec(self) -> dict[str, object]:
        """Return it as plain data."""
        fields: dict[str, object] = {"kind": self.kind, "name": self.name}
        fields["label"] = self.label or self.name
        if self.does:
            fields["does"] = self.does
        return fields


@at_home
@dataclass(frozen=True, slots=True)
class Number(Control):
    """A number, large."""

    kind = "number"
    unit: str = ""

    def spec(self) -> dict[str, object]:
        """See Control."""
        return {**Control.spec(self), "unit": self.unit}


@at_home
@dataclass(frozen=True, slots=True)
class Text(Control):
    """A text, or anything that is shown as one."""

    kind = "text"


@at_home
@dataclass(frozen=True, slots=True)
class Line(Control):
    """A number over time: who looks sees its last `last` values from then on."""

    kind = "line"
    last: int = 120

    def __post_init__(self) -> None:
        Control.__post_init__(self)
        if not 2 <= self.last <= limits.PANEL_LINE_VALUES_MAX:
            raise ConfigError(
                f"last={self.last!r} must be from 2 to {limits.PANEL_LINE_VALUES_MAX}"
            )

    def spec(self) -> dict[str, object]:
        """See Control."""
        return {**Control.spec(self), "last": self.last}


@at_home
@dataclass(frozen=True, slots=True)
class Log(Control):
    """The last lines of a list of texts."""

    kind = "log"


@at_home
@dataclass(frozen=True, slots=True)
class Button(Control):
    """Emits the signal `name`, or does the action."""

    kind = "button"
    shows = False

    @property
    def does(self) -> str:
        """See Control."""
        return self.name


@at_home
@dataclass(frozen=True, slots=True)
class Switch(Control):
    """On or off: shows the attribute `name`, and gives True or False to what it does."""

    kind = "switch"
    action: str = ""  # "": set_NAME

    @property
    def does(self) -> str:
        """See Control."""
        return self.action or f"set_{self.name}"


@at_home
@dataclass(frozen=True, slots=True)
class Slider(Control):
    """A number from `low` to `high`: shows the attribute `name`, and gives it to what it does."""

    kind = "slider"
    low: float = 0
    high: float = 100
    step: float = 1
    action: str = ""  # "": set_NAME

    def __post_init__(self) -> None:
        Control.__post_init__(self)
        if not (self.low < self.high and self.step > 0):
            raise ConfigError(f"a slider needs low < high and step > 0: {self!r}")

    @property
    def does(self) -> str:
        """See Control."""
        return self.action or f"set_{self.name}"

    def spec(self) -> dict[str, object]:
        """See Control."""
        more = {"low": self.low, "high": self.high, "step": self.step}
        return {**Control.spec(self), **more}


@at_home
class Panel:
    """What an actor shows; the value of the class attribute `panel`."""

    __slots__ = ("controls",)

    def __init__(self, *controls: Control) -> None:
        """Raises:
        ConfigError: that is no control, there are too many, or none.
        """
        given: tuple[object, ...] = controls
        wrong = [each for each in given if not isinstance(each, Control)]
        if wrong:
            raise ConfigError(f"{wrong[0]!r} is nothing for a panel: want Number, Button, …")
        if not 0 < len(controls) <= limits.PANEL_CONTROLS_MAX:
            raise ConfigError(
                f"a panel has 1 to {limits.PANEL_CONTROLS_MAX} controls, not {len(controls)}"
            )
        self.controls = controls

    def spec(self) -> list[dict[str, object]]:
        """Return its controls as plain data, in their order."""
        return [control.spec() for control in self.controls]

    def shown(self, actor: object) -> dict[str, Plain]:
        """Return what it shows of an actor now. Threads: the actor's."""
        return {
            each.name: plain(getattr(actor, each.name, None), is_log=isinstance(each, Log))
            for each in self.controls
            if each.shows
        }

    def check(self, cls: type[Any], does: Collection[str]) -> None:
        """Raise ConfigError where a control names what the class hasn't.

        Args: does: the signals and actions of the class.
        """
        known = frozenset(_attributes(cls))
        for each in self.controls:
            if each.does and each.does not in does:
                has = ", ".join(sorted(does)) or "none"
                raise ConfigError(
                    f"the panel of {cls.__name__} has {each!r}, but {each.does!r} is no signal or"
                    f" action of it: it has {has}"
                )
            if each.shows and each.name not in known:
                raise ConfigError(
                    f"the panel of {cls.__name__} shows {each.name!r}, an attribute that it never"
                    " mentions: set it in __init__"
                )


def signals_of(cls: type[Any]) -> list[str]:
    """The signals that an actor's class declares, by name."""
    return sorted(
        {
            name
            for base in cls.__mro__
            for name, of in vars(base).items()
            if isinstance(of, Declared)
        }
    )


def panel_of(cls: type[Any]) -> Panel | None:
    """What actors of this class show of themselves, if anything."""
    panel = getattr(cls, "panel", None)
    return panel if isinstance(panel, Panel) else None


def check_panel(cls: type[Any], actions: Iterable[str]) -> None:
    """Raise ConfigError where the class has a panel that can't be its."""
    if (panel := panel_of(cls)) is not None:
        panel.check(cls, {*actions, *signals_of(cls)})


def plain(value: object, *, is_log: bool = False) -> Plain:
    """Return what is sent of a value: plain data of bounded size, else its type's name."""
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or abs(value) < 1 << 53 else str(value)[:40]
    if isinstance(value, str):
        text = value[: limits.PANEL_TEXT_CHARS_MAX]
        return text.encode("utf-8", "backslashreplace").decode()  # half a pair can't be sent
    if is_log and isinstance(value, Iterable) and not isinstance(value, Mapping):
        lines = list(value)[-limits.PANEL_LOG_LINES_MAX :]
        return [str(plain(line))[: limits.PANEL_LOG_CHARS_MAX] for line in lines]
    return f"<{type(value).__name__}>"


def _attributes(cls: type[Any]) -> Iterable[str]:
    """Names that the class, or the code of its methods, mentions."""
    for base in cls.__mro__:
        yield from base.__dict__
        yield from inspect.get_annotations(base)
        for value in base.__dict__.values():
            function = getattr(value, "fn", value)  # an action holds its function
            if isinstance(function, FunctionType):
                yield from function.__code__.co_names
