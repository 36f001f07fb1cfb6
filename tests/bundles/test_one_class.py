"""One class stays one class: modules of the same content are one, whichever bundle they came in."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from structlog.testing import capture_logs

from zactor.bundles.build import build_bundle
from zactor.bundles.load import forget, load_class
from zactor.bundles.manifest import Bundle
from zactor.bundles.versions import other_versions

from .conftest import Write
from .messages import ACTOR, MESSAGES, UNITS, kind


def at(bundle: Bundle, name: str = "x") -> Any:
    return load_class(bundle, name).step  # type: ignore[attr-defined]


SHAPES = {
    "beside": ("", "import messages as m"),
    "taken out": (
        "",
        "from messages import Reading, Level, Flags, Pair, Oops\nimport messages as m",
    ),
    "a star": ("", "from messages import *\nimport messages as m"),
    "in a package": ("kit/", "from kit import messages as m"),
    "of a package with a long name": ("kit/deep/", "import kit.deep.messages as m"),
}


@pytest.mark.parametrize(("folder", "text"), SHAPES.values(), ids=SHAPES)
def test_two_files_that_ship_one_module_share_its_classes(
    write: Write, folder: str, text: str
) -> None:
    package = folder.replace("/", ".")
    messages = MESSAGES.replace("from units", f"from {package}units")
    files = {f"{folder}messages.py": messages, f"{folder}units.py": UNITS}
    if folder == "kit/":
        files["kit/__init__.py"] = ""
    sends = kind(
        "X", "return m.Reading(1.0, m.Level.HIGH), m.Flags.A | m.Flags.B, m.Pair(1), m.Oops('no')"
    )
    reads = kind(
        "X",
        "a, flags, pair, oops = r\n"
        "return [isinstance(a, m.Reading), a == m.Reading(1.0, m.Level.HIGH), "
        "a.level is m.Level.HIGH,\n"
        "        flags is m.Flags.A | m.Flags.B, isinstance(pair, m.Pair), isinstance(oops, "
        "m.Oops),\n"
        "        {a: 1}[m.Reading(1.0, m.Level.HIGH)] == 1, m.Reading.Extra is type(a).Extra]",
    )
    sensor = build_bundle(write({"x.py": sends.replace("IMPORTS", text), **files}, "one") / "x.py")
    display = build_bundle(
        write({"x.py": reads.replace("IMPORTS", text), **files}, "other") / "x.py"
    )
    assert sensor.identity != display.identity
    value = at(sensor)(None)
    assert at(display)(None, value) == [True] * 8
    assert at(display)(None, pickle.loads(pickle.dumps(value))) == [True] * 8


def test_relative_imports_share_too(write: Write) -> None:
    bundles = []
    for version in (1, 2):
        files = {
            "kit/__init__.py": "from .actor import X\n",
            "kit/actor.py": f"{ACTOR}from .messages import R\nfrom . import units\n"
            f"class X(Actor):\n    def step(self): return R(), {version}, units.U\n",
            "kit/messages.py": "from .units import U\nclass R: pass\n",
            "kit/units.py": "class U: pass\n",
        }
        bundles.append(build_bundle(write(files, f"v{version}") / "kit"))
    (old, one, u1), (new, two, u2) = (at(bundle)(None) for bundle in bundles)
    assert (type(old) is type(new), one, two, u1 is u2) == (True, 1, 2, True)


DIFFERENT = {
    "itself": {"messages.py": "class R:\n    new = 1\n"},
    "what it imports": {"messages.py": "import units\nclass R: pass\n", "units.py": "V = 2\n"},
    "what that imports": {
        "messages.py": "import units\nclass R: pass\n",
        "units.py": "import more\n",
        "more.py": "V = 2\n",
    },
    "what it imports in a function": {
        "messages.py": "def f():\n    import units\nclass R: pass\n",
        "units.py": "V = 2\n",
    },
    "in a circle": {
        "messages.py": "import units\nclass R: pass\n",
        "units.py": "import messages\nV = 2\n",
    },
    "a file that it reads": {
        "messages.py": "import pathlib\n"
        "D = pathlib.Path(__file__).with_name('d.txt').read_text()\nclass R: pass\n",
        "d.txt": "2",
    },
}


@pytest.mark.parametrize("files", DIFFERENT.values(), ids=DIFFERENT)
def test_a_module_is_another_where_it_or_what_it_needs_is(
    write: Write, files: dict[str, str]
) -> None:
    last = list(files)[-1]
    older = {**files, last: files[last].replace("2", "1").replace("new = 1", "old = 1")}
    x = kind("X", "return messages.R").replace("IMPORTS", "import messages")
    # Into two folders: Python's own would be the same in both.
    bundles = [
        build_bundle(write({"x.py": x, **each}, f"v{n}")) for n, each in enumerate((older, files))
    ]
    one, other = (at(bundle)(None) for bundle in bundles)
    assert one is not other
    assert at(bundles[0])(None) is one


SAME = {
    "the actor alone changed": {"x.py": "# edited\n"},
    "another module changed": {"more.py": "V = 2\n"},
    "data that it doesn't read": {"table.txt": "2"},
    "a comment for checkers": {"checked.py": "V = 2\n"},
}


@pytest.mark.parametrize("edit", SAME.values(), ids=SAME)
def test_an_edit_elsewhere_leaves_a_module_what_it_is(write: Write, edit: dict[str, str]) -> None:
    x = kind("X", "return messages.R").replace(
        "IMPORTS", "import messages, more, logging\nlogging.getLogger(__name__)"
    )
    files = {
        "x.py": x,
        "messages.py": "import logging\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import checked\nlog = logging.getLogger(__name__)\nclass R: pass\n"
        "if __name__ == '__main__':\n    import checked\n",
        "more.py": "V = 1\n",
        "table.txt": "1",
        "checked.py": "V = 1\n",
    }
    edited = {**files, **edit}
    edited["x.py"] = files["x.py"] + edit.get("x.py", "")
    older, newer = (build_bundle(write(each, f"v{n}")) for n, each in enumerate((files, edited)))
    assert older.identity != newer.identity
    assert at(older)(None) is at(newer)(None)


def test_modules_live_in_two_versions_side_by_side(write: Write) -> None:
    x = kind("X", "return messages.V, kit.V, kit.inner.V").replace(
        "IMPORTS", "import messages, kit, kit.inner"
    )
    bundles = [
        build_bundle(
            write(
                {
                    "x.py": x,
                    "messages.py": f"V = {v}",
                    "kit/__init__.py": "V = 0",
                    "kit/inner.py": f"V = {v}",
                },
                f"v{v}",
            )
        )
        for v in (1, 2)
    ]
    assert [at(bundle)(None) for bundle in (*bundles, *reversed(bundles))] == [
        (1, 0, 1),
        (2, 0, 2),
        (2, 0, 2),
        (1, 0, 1),
    ]


def test_what_one_bundle_forgets_another_keeps(write: Write) -> None:
    x = kind("X", "return messages.R").replace("IMPORTS", "import messages")
    files = {"messages.py": "class R: pass\n"}
    one, other = (build_bundle(write({"x.py": f"{x}# {n}", **files}, f"v{n}")) for n in "ab")
    found = at(one)(None)
    at(other)
    text = pickle.dumps(found)
    forget(one.identity)
    assert at(other)(None) is found
    assert pickle.loads(text) is found
    forget(other.identity)
    with pytest.raises(ModuleNotFoundError):
        pickle.loads(text)


def test_a_former_versions_pickle_names_modules_by_their_bundle(write: Write) -> None:
    x = kind("X", "return messages.R").replace("IMPORTS", "import messages")
    bundle = build_bundle(write({"x.py": x, "messages.py": "class R: pass\n"}))
    found = at(bundle)(None)
    old = pickle.dumps(found, 0).replace(
        found.__module__.encode(),
        found.__module__.replace("zactor_code_", "zactor_bundle_").encode(),
    )
    digits = found.__module__.partition(".")[0].removeprefix("zactor_code_")
    old = old.replace(digits.encode(), bundle.identity.removeprefix("sha256:")[:16].encode())
    assert pickle.loads(old) is found


def test_two_versions_that_meet_are_named(write: Write) -> None:
    x = kind("X", "return messages.R()").replace("IMPORTS", "import messages")
    bundles = [
        build_bundle(
            write({"x.py": x, "messages.py": f"class R:\n    v = {v}\n"}, f"v{v}") / "x.py"
        )
        for v in (1, 2)
    ]
    with capture_logs() as logged:
        older, newer = (load_class(bundle, "x")() for bundle in bundles)
    twins = [entry for entry in logged if entry["event"] == "module_in_two_versions"]
    assert [entry["module"] for entry in twins] == ["messages"]
    one, two = (bundle.manifest.modules["messages"] for bundle in bundles)
    assert {twins[0]["version"], twins[0]["other_version"]} == {one, two}
    value = older.step()  # type: ignore[attr-defined]
    for held in (value, [value], {"a": value}, type(value)):
        said = other_versions(newer, [held])
        assert said.startswith(f"two versions of messages.R meet here: the sender's is {one} (of")
        assert f"this actor's is {two}" in said
    assert other_versions(older, [value, 1, "a", [1]]) == ""
    assert other_versions(object(), [value]) == ""
