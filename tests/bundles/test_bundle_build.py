"""What goes into a bundle, and what its identity depends on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor.bundles.build import build_bundle
from zactor.bundles.manifest import Bundle, class_names
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing

from .conftest import COUNTER, Write

ACTOR = "from zactor.kernel.actors.actor import Actor\n"


def one(write: Write, text: str, **others: str) -> Bundle:
    files = {f"{name}.py": source for name, source in others.items()}
    return build_bundle(write({"main.py": text, **files}) / "main.py")


def test_a_file_gives_its_actor_classes_by_two_names(counter: Bundle) -> None:
    assert counter.manifest.types == {"Counter": "counter:Counter", "counter": "counter:Counter"}
    assert list(counter.parts) == ["src/counter.py"]
    assert counter.manifest.entry == counter.manifest.name == "counter"
    assert counter.manifest.python == sys.version_info[:2]
    assert counter.manifest.requirements == {}


@pytest.mark.parametrize(
    "text",
    [
        "from zactor import Actor\nclass A(Actor): pass",
        "from zactor import Actor as Base\nclass A(Base): pass",
        "import zactor\nclass A(zactor.Actor): pass",
        "import zactor.kernel.actors.actor as x\nclass A(x.Actor): pass",
        "from zactor import Actor\nclass B(Actor): pass\nclass A(B): pass",
        "from zactor import Actor\nfrom typing import Generic\nclass A(Generic[int], Actor): pass",
        "from lib import CameraActor\nclass A(CameraActor): pass",
        "from zactor import Actor\nif True:\n  class A(Actor): pass",
        "try:\n  from zactor import Actor\nexcept ImportError:\n  raise\nclass A(Actor): pass",
    ],
)
def test_an_actor_class_is_known_by_its_bases(write: Write, text: str) -> None:
    assert "A" in class_names(one(write, text).manifest)


@pytest.mark.parametrize(
    "text",
    [
        "class A: pass",
        "class A(dict): pass",
        "class Actor: pass\nclass A(Actor): pass",
        "class A(B): pass\nclass B(A): pass",
        "from zactor import Actor\ndef f():\n  class A(Actor): pass",
    ],
)
def test_a_file_without_an_actor_class_is_refused(write: Write, text: str) -> None:
    with pytest.raises(BundleRefused, match="derives from Actor"):
        one(write, text)


def test_modules_beside_it_go_along_and_those_that_they_import(write: Write) -> None:
    bundle = one(
        write,
        ACTOR + "import one\nclass A(Actor):\n  def f(self):\n    from .two import x",
        one="import three",
        two="x = 1",
        three="import json, main",
        unused="1/0",
    )
    assert list(bundle.parts) == ["src/main.py", "src/one.py", "src/three.py", "src/two.py"]


def test_a_package_beside_it_goes_along_whole(write: Write) -> None:
    folder = write(
        {
            "main.py": ACTOR + "from kit.tools import x\nclass A(Actor): pass",
            "kit/__init__.py": "",
            "kit/tools.py": "import side",
            "kit/table.json": "{}",
            "kit/.secret": "no",
            "kit/__pycache__/tools.pyc": "no",
            "side.py": "",
        }
    )
    assert list(build_bundle(folder / "main.py").parts) == [
        "src/kit/__init__.py",
        "src/kit/table.json",
        "src/kit/tools.py",
        "src/main.py",
        "src/side.py",
    ]


def test_a_base_class_in_another_module_makes_no_type_of_its_own(write: Write) -> None:
    bundle = one(write, "from base import B\nclass A(B): pass", base=ACTOR + "class B(Actor): pass")
    assert class_names(bundle.manifest) == ["A"]


def test_a_file_that_only_passes_a_class_on_offers_that(write: Write) -> None:
    bundle = one(write, "from impl import A", impl=ACTOR + "class A(Actor): pass")
    assert bundle.manifest.types["a"] == "impl:A"


def test_a_folder_of_loose_modules_is_bundled_whole(write: Write) -> None:
    folder = write(
        {"counter.py": COUNTER, "gui.py": COUNTER.replace("Counter", "Gui"), "a.txt": ""}
    )
    manifest = build_bundle(folder).manifest
    assert manifest.types["gui"] == "gui:Gui"
    assert class_names(manifest) == ["Counter", "Gui"]
    assert list(manifest.parts) == ["src/a.txt", "src/counter.py", "src/gui.py"]


def test_a_package_keeps_its_name(write: Write) -> None:
    folder = write(
        {
            "bank/__init__.py": "__version__ = '1.2'\nfrom .account import Account",
            "bank/account.py": "from .base import Base\nclass Account(Base): pass",
            "bank/base.py": "from zactor import Actor\nclass Base(Actor): pass",
        }
    )
    manifest = build_bundle(folder / "bank").manifest
    assert (manifest.name, manifest.version, manifest.entry) == ("bank", "1.2", "bank")
    assert manifest.types["account"] == "bank.account:Account"


def test_classes_of_one_name_are_told_apart_by_their_module(write: Write) -> None:
    types = build_bundle(write({"a.py": COUNTER, "b.py": COUNTER})).manifest.types
    assert types == {"a.Counter": "a:Counter", "b.Counter": "b:Counter"}


def test_requirements_are_what_is_imported_from_elsewhere(write: Write) -> None:
    bundle = one(
        write,
        ACTOR
        + """
import json, msgspec.json, os.path
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import only_for_types
try:
    import optional
except ImportError:
    import fallback
class A(Actor):
    def f(self):
        import lazily_needed.part
""",
    )
    assert list(bundle.manifest.requirements) == ["msgspec"]
    assert bundle.manifest.requirements["msgspec"][0].isdigit()
    assert bundle.manifest.optional == {"fallback": "", "lazily_needed": "", "optional": ""}


def test_building_runs_nothing(write: Write) -> None:
    text = ACTOR + "raise SystemExit('ran')\nclass A(Actor): pass"
    assert class_names(one(write, text).manifest) == ["A"]


def test_a_syntax_error_is_named_by_file_and_line(write: Write) -> None:
    with pytest.raises(BundleRefused, match=r"main\.py:2: "):
        one(write, "x = 1\nclass A(:\n")


def test_a_relative_import_that_leaves_the_folder_is_refused(write: Write) -> None:
    with pytest.raises(BundleRefused, match=r"main\.py:1: .* leaves the bundle"):
        one(write, "from ..up import x")


def test_a_path_where_nothing_is_is_no_such_thing(tmp_path: Path) -> None:
    with pytest.raises(NoSuchThing, match=r"absent\.py"):
        build_bundle(tmp_path / "absent.py")


def test_a_file_of_another_kind_is_refused(write: Write) -> None:
    with pytest.raises(BundleRefused, match=r"no \.py file"):
        build_bundle(write({"data.txt": "hello"}) / "data.txt")


def test_a_link_out_of_a_folder_is_refused(write: Write) -> None:
    folder = write({"counter.py": COUNTER})
    (folder / "secret.txt").symlink_to("/etc/passwd")
    with pytest.raises(BundleRefused, match=r"secret\.txt' is a link out of the folder"):
        build_bundle(folder)


def test_a_pipe_in_a_folder_is_refused_instead_of_waited_for(write: Write) -> None:
    folder = write({"counter.py": COUNTER})
    os.mkfifo(folder / "pipe")
    with pytest.raises(BundleRefused, match="no plain file"):
        build_bundle(folder)


def test_too_many_files_are_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUNDLE_FILES_MAX", 2)
    folder = write({"counter.py": COUNTER, "a.txt": "", "b.txt": ""})
    with pytest.raises(BundleRefused, match="BUNDLE_FILES_MAX"):
        build_bundle(folder)


def test_the_same_sources_in_another_folder_have_the_same_identity(write: Write) -> None:
    one_folder = write({"counter.py": COUNTER, "help.txt": ""}, folder="one")
    other = write({"counter.py": COUNTER, "help.txt": ""}, folder="other")
    assert build_bundle(one_folder / "counter.py") == build_bundle(other / "counter.py")
    assert build_bundle(one_folder).parts == build_bundle(other).parts


def test_an_edit_gives_a_new_identity(write: Write, counter: Bundle) -> None:
    edited = build_bundle(write({"counter.py": COUNTER.replace("1", "2")}) / "counter.py")
    assert edited.identity != counter.identity


BUILD = """
import sys
sys.path.insert(0, sys.argv[1])
from zactor.bundles.build import build_bundle
import counter
print(build_bundle(sys.argv[1] + "/counter.py").identity)
print(build_bundle(sys.argv[1]).identity)
print(build_bundle(counter.Counter).identity)
"""


def test_identities_do_not_depend_on_the_process_or_its_hash_seed(write: Write) -> None:
    text = COUNTER + "        return {'a', 'b'} or Gui\nclass Gui(Actor): pass\n"
    folder = write({"counter.py": "import helper\n" + text, "helper.py": "x = 1"})
    seen = set()
    for seed in ("0", "1", "random"):
        done = run_to_end(
            [sys.executable, "-c", BUILD, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
        )
        seen.add(done.stdout)
    assert len(seen) == 1
    assert len(set(seen.pop().split())) == 3
