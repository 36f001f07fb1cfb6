"""The code runs that was declared: it comes in the bundle, and two versions live side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor import connect
from zactor.kernel.errors import BundleRefused, RemoteActionError
from zactor.lab.lab import Lab, until

FIRST = """
from zactor import Actor, action
import helper

class Speaker(Actor):
    @action
    def say(self):
        return helper.WORD
"""


def test_an_edited_file_runs_anew_and_the_old_actor_keeps_the_old_code(
    lab: Lab, tmp_path: Path
) -> None:
    # Nothing of this folder is importable where the nodes run: the code comes in the bundle.
    source = tmp_path / "sources"
    source.mkdir()
    (source / "speaker.py").write_text(FIRST)
    (source / "helper.py").write_text("WORD = 'old'\n")
    lab.start("n1")
    lab.start("n2")
    until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("speaker", source / "speaker.py")
        m.deploy_actor("speaker", "a", "n2")
        assert m.ask("a", "say") == "old"
        (source / "helper.py").write_text("WORD = 'new'\n")
        m.declare_factory("speaker", source / "speaker.py")
        m.deploy_actor("speaker", "b", "n2")
        assert m.ask("b", "say") == "new"
        assert m.ask("a", "say") == "old"


def test_a_missing_import_is_told_before_anything_is_deployed(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(
        "from zactor import Actor\nimport no_such_module_at_all\n\nclass Needy(Actor):\n    pass\n"
    )
    lab.start("n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("needy", tmp_path / "needy.py")
        with pytest.raises(BundleRefused, match=r"n1.*no_such_module_at_all"):
            m.deploy_actor("needy", "x", "n1")
        assert m.actors() == []


def test_an_exception_of_the_constructor_is_told_and_leaves_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_text(
        "from zactor import Actor\n\nclass Bad(Actor):\n"
        "    def __init__(self, size: int = 0) -> None:\n"
        "        raise ValueError(f'size {size} is too small')\n"
    )
    lab.start("n1")
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        m.declare_factory("bad", tmp_path / "bad.py")
        with pytest.raises(RemoteActionError, match="ValueError: size 3 is too small"):
            m.deploy_actor("bad", "x", "n1", size=3)
        assert m.actors() == []
        assert {row["functor"] for row in m.facts()} == {
            "factory",
            "founded",
            "incarnation",
            "node",
        }
