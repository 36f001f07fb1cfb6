"""A program's own classes, in what it gets from actors and in what it sends to them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from deadlines import DEADLINE_S

from zactor.bundles.build import build_bundle
from zactor.bundles.manifest import Bundle
from zactor.bundles.user_modules import of_file

from .conftest import Write
from .messages import ACTOR, MESSAGES, UNITS, kind

PROGRAM = """
import enum, pickle, sys, dataclasses
from pathlib import Path
from zactor import Actor, action, build_bundle
from zactor.bundles import program
from zactor.bundles.load import load_class
from zactor.bundles.manifest import verify

@dataclasses.dataclass
class Own:
    n: int

class Kind(enum.Enum):
    A = 1

class Maker(Actor):
    def step(self):
        return Own(1), Kind.A

if __name__ == "__main__":
    import messages
    there = load_class(verify(sys.argv[1]), "x").step
    back = program.loads(pickle.dumps(there(None)))
    print(isinstance(back, messages.Reading), back == messages.Reading(1.0, messages.Level.HIGH),
          back.level is messages.Level.HIGH)
    sent = program.dumps(messages.Reading(1.0, messages.Level.HIGH))
    print(pickle.loads(sent) == there(None), type(pickle.loads(sent)) is type(there(None)))
    made = load_class(build_bundle(Maker), "maker").step(None)
    print(made == (Own(1), Kind.A), made[1] is Kind.A)
"""


def run_program(folder: Path, bundle: Bundle, tmp_path: Path, text: str = PROGRAM) -> str:
    (folder / "program.py").write_text(text)
    (tmp_path / "x.bundle").write_bytes(bundle.data)
    done = subprocess.run(
        [sys.executable, str(folder / "program.py"), str(tmp_path / "x.bundle")],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_gets_its_own_classes_and_may_send_them(write: Write, tmp_path: Path) -> None:
    x = kind("X", "return m.Reading(1.0, m.Level.HIGH)").replace("IMPORTS", "import messages as m")
    files = {"x.py": x, "messages.py": MESSAGES, "units.py": UNITS}
    bundle = build_bundle(write(files) / "x.py")
    folder = write({"messages.py": MESSAGES, "units.py": UNITS}, "elsewhere")
    printed = run_program(folder, bundle, tmp_path)
    assert printed.split() == ["True"] * 7


STRANGER = """
import pickle, sys
from zactor.bundles import program
from zactor.bundles.load import load_class
from zactor.bundles.manifest import verify

there = load_class(verify(sys.argv[1]), "x").step
data = pickle.dumps((there(None), there(None)))
from zactor.bundles import code_modules
for package in code_modules.packages():
    code_modules.remove_package(package)
one, other = program.loads(data)
print(one)
print(one.value, one.level, one == other, len({one, other}), type(one).__name__)
again = program.dumps(one)
load_class(verify(sys.argv[1]), "x")
print(pickle.loads(again) == load_class(verify(sys.argv[1]), "x").step(None))
"""


@pytest.mark.parametrize("messages", ["", "class Reading: pass\n"], ids=["has none", "another"])
def test_a_program_without_the_module_reads_stand_ins(
    write: Write, tmp_path: Path, messages: str
) -> None:
    x = kind("X", "return m.Reading(1.0, m.Level.HIGH, 'V')").replace(
        "IMPORTS", "import messages as m"
    )
    bundle = build_bundle(write({"x.py": x, "messages.py": MESSAGES, "units.py": UNITS}) / "x.py")
    folder = write({"messages.py": messages} if messages else {"other.py": ""}, "elsewhere")
    printed = run_program(folder, bundle, tmp_path, STRANGER).splitlines()
    assert printed == [
        "Reading(value=1.0, level=Level(2), unit='V')",
        "1.0 Level(2) True 1 Reading",
        "True",
    ]


ALONE = {
    "alone": ("messages.py", {"messages.py": "class R: pass\n"}),
    "with an import": (
        "messages.py",
        {"messages.py": "from units import U\nimport json\n", "units.py": "U = 1"},
    ),
    "in a package": (
        "kit/messages.py",
        {
            "kit/__init__.py": "from . import more\n",
            "kit/messages.py": "from .units import U\nfrom kit import other\n"
            "from kit.deep import d\n",
            "kit/units.py": "U = 1\n",
            "kit/other.py": "import kit_free\n",
            "kit/deep/d.py": "from ..units import U\n",
            "kit/more.py": "",
        },
    ),
    "a name of its package": (
        "kit/messages.py",
        {"kit/__init__.py": "C = 1\n", "kit/messages.py": "from . import C\n", "kit/d.txt": ""},
    ),
    "of a long name": (
        "kit/messages.py",
        {"kit/__init__.py": "", "kit/messages.py": "import kit.units\n", "kit/units.py": ""},
    ),
    "the package": ("kit/__init__.py", {"kit/__init__.py": "", "kit/messages.py": "", "kit/d": ""}),
    "what reads": (
        "kit/messages.py",
        {"kit/__init__.py": "", "kit/messages.py": "HERE = __file__\n", "kit/d.txt": "1"},
    ),
    "what hands names on": (
        "messages.py",
        {"messages.py": "import lib\nlib.load('units')\n", "units.py": "U = 1\n"},
    ),
}


@pytest.mark.parametrize(("file", "files"), ALONE.values(), ids=ALONE)
def test_a_program_finds_the_identity_that_a_bundle_has(
    write: Write, file: str, files: dict[str, str]
) -> None:
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    taken = ["messages", "units", "kit.messages", "kit.other"]
    imports = "\n".join(
        f"    import {one}" for one in taken if f"{one.replace('.', '/')}.py" in files
    )
    x = f"{ACTOR}class X(Actor): pass\ndef f():\n    pass\n{imports}\n"
    folder = write({"x.py": x, **files})
    found = of_file(module, folder / file)
    assert found is not None
    for source in (folder, folder / "x.py"):
        assert build_bundle(source).manifest.modules[module] == found.identity
