"""lab.toml: what it may say, and that each mistake is told with its line and the nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor.desired.document import Document, line_of, read_document
from zactor.desired.writing import to_toml
from zactor.kernel.errors import ConfigError
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedFactory, WishedGroup, WishedWire

LAB = """\
[cluster]
name = "greenhouse"
keep = true

[factories]
counter = "actors/counter.py"
gui = "sha256:{hash}"

[actors.c1]
type = "counter"
on = "n1"
args = {{ start = 40 }}

[actors.k1]
type = "gui"
on = ["n2", "n3"]      # the first that is there
restart = "permanent"
intensity = "5 in 60s"
drain = 1

[wires]
"k1.inc" = ["c1"]
"c1.updateVal" = ["k1 agreed", "c1"]
""".format(hash="0" * 64)


def read(text: str) -> Document:
    return read_document(text, "lab.toml", Path())


def test_what_a_file_says() -> None:
    document = read(LAB)
    assert (document.name, document.keep, document.nodes) == (
        "greenhouse",
        True,
        ("n1", "n2", "n3"),
    )
    assert document.factories == {"counter": "actors/counter.py", "gui": f"sha256:{'0' * 64}"}
    assert document.actors == (
        WishedActor(name="c1", type="counter", on=("n1",), arguments='{"start":40}'),
        WishedActor(
            name="k1",
            type="gui",
            on=("n2", "n3"),
            restart="permanent",
            intensity="5 in 60s",
            drain_s=1.0,
        ),
    )
    assert document.wires == (
        WishedWire(emitter="k1", action="inc", reactor="c1"),
        WishedWire(emitter="c1", action="updateVal", reactor="k1", service="agreed"),
        WishedWire(emitter="c1", action="updateVal", reactor="c1"),
    )


MISTAKES = {
    "a key": ('type = "counter"', 'typ = "counter"', 10, "key 'typ' in [actors.c1]", "'type'"),
    "a table": ("[wires]", "[wire]", 21, "key 'wire'", "'wires'"),
    "a key of cluster": ("keep =", "kep =", 3, "key 'kep' in [cluster]", "'keep'"),
    "a type": ('type = "gui"', 'type = "guy"', 15, "type 'guy' in [factories]", "'gui'"),
    "an emitter": ('"k1.inc"', '"k2.inc"', 22, "actor 'k2'", "'k1'"),
    "a reactor": ('["c1"]', '["c7"]', 22, "actor 'c7'", "'c1'"),
    "a port": ('"k1.inc"', '"k1inc"', 22, "no EMITTER.ACTION", ""),
    "a service": ("k1 agreed", "k1 agred", 23, "agred", "agreed"),
    "a restart": ('"permanent"', '"always"', 17, "'always' is no restart", "permanent"),
    "an intensity": ('"5 in 60s"', '"often"', 18, "no intensity", "3 in 10s"),
    "a drain": ("drain = 1", 'drain = "1"', 19, "drain is a number", ""),
    "an identity": ("sha256:0", "sha256:", 7, "64 hexadecimal", ""),
    "no node": ('on = "n1"', "on = []", 11, "wants on", ""),
    "a node twice": ('"n2", "n3"', '"n2", "n2"', 16, "names a node twice", ""),
    "a date": ("start = 40", "start = 2020-01-01", 12, "plain data", ""),
    "an endless number": ("start = 40", "start = -inf", 12, "plain data", ""),
    "no TOML": ("keep = true", "keep = yes", 3, "no TOML", ""),
    "no name": ('name = "greenhouse"', "", 1, "want name", ""),
    "a name": ('"greenhouse"', '"green house"', 2, "green house", ""),
}


@pytest.mark.parametrize(("old", "new", "line", "what", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line(
    old: str, new: str, line: int, what: str, hint: str
) -> None:
    assert LAB.count(old) >= 1
    with pytest.raises(ConfigError) as caught:
        read(LAB.replace(old, new, 1))
    text = str(caught.value)
    assert text.startswith(f"lab.toml:{line}: "), text
    assert what in text
    assert hint in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("said", "service", "meanwhile"),
    [
        ("hold", "fifo", "hold 1000"),
        ("hold 5", "fifo", "hold 5"),
        ("hold:5", "fifo", "hold 5"),
        ("reliable block", "reliable", "block"),
        ("agreed drop", "agreed", ""),
    ],
)
def test_what_a_wire_does_meanwhile(said: str, service: str, meanwhile: str) -> None:
    found = read(LAB.replace('"k1 agreed"', f'"k1 {said}"')).wires[1]
    assert (found.reactor, found.service, found.meanwhile) == ("k1", service, meanwhile)


@pytest.mark.parametrize("said", ["agreed hold 5", "hold 0", "hold many", "fifo fast hold 5"])
def test_a_wire_that_cant_wait_so_is_an_error_with_its_line(said: str) -> None:
    with pytest.raises(ConfigError, match=r"lab\.toml:\d+: "):
        read(LAB.replace('"k1 agreed"', f'"k1 {said}"'))


CAMS = (
    LAB.replace("[actors.c1]\n", '[actors."c-{node}"]\n')
    .replace('"c1.updateVal" = ["k1 agreed", "c1"]', '"c-{node}.updateVal" = ["k1"]')
    .replace('"k1.inc" = ["c1"]', '"k1.inc" = ["c-{node}"]')
    .replace('on = "n1"', 'each = "site=north"')
)


def test_an_actor_on_each_node_with_a_label() -> None:
    document = read(CAMS)
    (cam,) = (actor for actor in document.actors if actor.each)
    assert (cam.name, cam.each, cam.on) == ("c-{node}", "site=north", ())
    assert {wire.emitter for wire in document.wires} == {"c-{node}", "k1"}
    for old, new in (
        ('"site=north"', '"site north"'),
        ('each = "site=north"', 'each = "roof"\non = "n1"'),
        ("c-{node}", "cam"),
    ):
        with pytest.raises(ConfigError, match=r"lab\.toml:\d+: "):
            read(CAMS.replace(old, new))


def test_groups_that_restart_together() -> None:
    text = LAB.replace(
        "[wires]",
        '[groups.line]\nactors = ["k1", "c1"]\n'
        'strategy = "one_for_all"\nintensity = "1 in 5s"\n[wires]',
    )
    assert read(text).groups == (
        WishedGroup(name="line", actors=("k1", "c1"), strategy="one_for_all", intensity="1 in 5s"),
    )
    for old, new in (
        ('"k1", "c1"', '"k1", "c7"'),
        ('["k1", "c1"]', '"k1"'),
        ('["k1", "c1"]', "[]"),
        ("one_for_all", "all_for_one"),
        ("1 in 5s", "often"),
        ("strategy", "stratagem"),
    ):
        with pytest.raises(ConfigError, match=r"lab\.toml:\d+: "):
            read(text.replace(old, new))


def test_the_line_of_a_key_inside_of_an_inline_table() -> None:
    text = '[actors]\nc1 = { type = "counter", onn = "n1" }\n'
    assert line_of(text, ("actors", "c1", "onn")) == 2
    assert line_of(text, ("actors", "c1")) == 2
    assert line_of("", ("actors",)) == 0


WISH = Wish(
    name="lab",
    keep=False,
    factories=(WishedFactory(type="counter", bundle=f"sha256:{'a' * 64}"),),
    actors=(
        WishedActor(name="c1", type="counter", on=("n1",), arguments='{"a":1,"b":[true,"x\\"y"]}'),
        WishedActor(name="c2", type="counter", on=("n1", "n2"), arguments='{"none":null}'),
        WishedActor(name="c3", type="counter", on=("n1",), arguments="pickle:AAAA", drain_s=0.5),
        WishedActor(name="Odd name", type="counter", on=("n 1",), restart="temporary"),
        WishedActor(name="c5", type="counter", on=("n1",), arguments='{"deep":{"f":1.5,"e":{}}}'),
        WishedActor(name="c6", type="counter", on=("n1",), arguments='{"u":"\\u007f\\u0001é"}'),
    ),
    wires=(
        WishedWire(emitter="c1", action="s", reactor="c2"),
        WishedWire(emitter="c1", action="s", reactor="c3", service="safe"),
        WishedWire(emitter="c1", action="s", reactor="c5", meanwhile="hold 20"),
        WishedWire(emitter="c2", action="s", reactor="c5", service="reliable", meanwhile="block"),
    ),
    groups=(WishedGroup(name="g-1", actors=("c2", "c1"), strategy="rest_for_one"),),
).sorted()


def test_a_wish_as_a_file_says_the_same() -> None:
    plain = Wish(
        name=WISH.name,
        keep=WISH.keep,
        factories=WISH.factories,
        actors=tuple(each for each in WISH.actors if " " not in each.name),
        wires=WISH.wires,
        groups=WISH.groups,
    )
    document = read(to_toml(plain, ["other"]))
    again = Wish(
        name=document.name,
        keep=document.keep,
        factories=tuple(
            WishedFactory(type=name, bundle=source) for name, source in document.factories.items()
        ),
        actors=document.actors,
        wires=document.wires,
        groups=document.groups,
    )
    assert again.sorted() == plain
    assert "# without what belongs to other" in to_toml(plain, ["other"])


def test_odd_names_are_quoted() -> None:
    assert '[actors."Odd name"]' in to_toml(WISH)


def test_what_is_nested_without_end_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match="lists or tables within each other"):
        read_document("deep = " + "[" * 30_000, "lab.toml", Path())
