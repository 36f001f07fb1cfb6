"""Panels: checked when the class is made, and plain data when they are looked at."""

from __future__ import annotations

import pytest

from zactor import (
    Actor,
    Button,
    ConfigError,
    Line,
    Log,
    Number,
    Panel,
    Slider,
    Switch,
    Text,
    action,
    signal,
)
from zactor.kernel import limits
from zactor.kernel.actors.panel import panel_of, plain


class Heater(Actor):
    boost = signal()
    panel = Panel(
        Number("degrees", unit="°C"),
        Text("mood"),
        Line("degrees", last=10),
        Log("said"),
        Button("boost"),
        Switch("on"),
        Slider("target", low=5, high=30),
    )

    def __init__(self) -> None:
        self.degrees = 21.5
        self.mood = "well"
        self.said = [f"line {number}" for number in range(100)]
        self.on = True
        self.target = 20.0

    @action
    def set_on(self, on: bool) -> None:
        self.on = on

    @action
    def set_target(self, target: float) -> None:
        self.target = target


def test_a_panel_says_what_there_is_and_what_it_shows() -> None:
    panel = panel_of(Heater)
    assert panel is not None
    kinds = [each["kind"] for each in panel.spec()]
    assert kinds == ["number", "text", "line", "log", "button", "switch", "slider"]
    shown = panel.shown(Heater())
    assert shown["degrees"] == 21.5
    assert shown["on"] is True
    assert shown["said"] == [f"line {n}" for n in range(100 - limits.PANEL_LOG_LINES_MAX, 100)]
    assert "boost" not in shown


def test_a_shower_must_name_an_attribute_that_the_class_mentions() -> None:
    with pytest.raises(ConfigError, match="'numer', an attribute that it never mentions"):

        class Wrong(Actor):
            panel = Panel(Number("numer"))

            def __init__(self) -> None:
                self.number = 1


def test_a_doer_must_name_a_signal_or_an_action() -> None:
    with pytest.raises(ConfigError, match="'inc' is no signal or action of it: it has dec"):

        class Wrong(Actor):
            dec = signal()
            panel = Panel(Button("inc"))


def test_a_subclass_has_the_panel_of_its_base() -> None:
    class Boiler(Heater):
        pass

    assert panel_of(Boiler) is panel_of(Heater)


def test_an_actor_may_have_an_attribute_called_panel_that_is_none() -> None:
    class Old(Actor):
        panel = "glass"

    assert panel_of(Old) is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Panel, "1 to"),
        (lambda: Panel("number"), "nothing for a panel"),  # type: ignore[arg-type]  # the mistake
        (lambda: Slider("x", low=3, high=3), "low < high"),
        (lambda: Slider("x", 1, 10), "name and label are text"),  # type: ignore[arg-type]
        (lambda: Button(print), "name and label are text"),  # type: ignore[arg-type]
        (lambda: Line("x", last=1), "from 2"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=words):
        make()


def test_what_is_no_plain_data_is_shown_by_its_type() -> None:
    assert plain(object()) == "<object>"
    assert plain({"a": 1}) == "<dict>"
    assert plain("x" * 10_000) == "x" * limits.PANEL_TEXT_CHARS_MAX
    assert plain(1 << 80) == str(1 << 80)
    assert plain(None) is None
