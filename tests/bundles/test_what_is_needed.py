"""What a file or a folder needs is found without running it, and what it doesn't need is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor.bundles.build import build, build_bundle
from zactor.bundles.load import check, load_class, missing_optional
from zactor.bundles.manifest import Bundle, class_names, pick_type
from zactor.kernel.errors import BundleRefused

from .conftest import Write

ACTOR = "from zactor import Actor\n"
X = ACTOR + "class X(Actor):\n    def step(self):\n        return 1\n"


def built(write: Write, source: str, **others: str) -> Bundle:
    return build_bundle(write({"x.py": source, **others}) / "x.py")


def step(bundle: Bundle, type_name: str = "x") -> object:
    check(bundle, type_name, "n1")
    return load_class(bundle, type_name).step(None)  # type: ignore[attr-defined]


OPTIONAL = {
    "another platform's": "import sys\nif sys.platform == 'win32':\n    import absent\n",
    "by os.name": "import os\nif os.name == 'nt':\n    import absent\nelse:\n    import posix\n",
    "by version": "import sys\nif sys.version_info < (3, 8):\n    import absent\n",
    "under a setting": "DEBUG = False\nif DEBUG:\n    from absent import trace\n",
    "in an elif": "import sys\nif sys.maxsize > 1:\n    pass\nelif True:\n    import absent\n",
    "tried": "try:\n    import absent\nexcept ImportError:\n    absent = None\n",
    "tried by tuple": "try:\n    import absent\n"
    "except (KeyError, ModuleNotFoundError):\n    pass\n",
    "by builtins": "import builtins\ntry:\n    import absent\n"
    "except builtins.ImportError:\n    pass\n",
    "the other way": "try:\n    import json\nexcept ImportError:\n    import absent\n",
    "suppressed": "from contextlib import suppress\nwith suppress(ImportError):\n"
    "    import absent\n",
    "suppressed by module": "import contextlib\nwith contextlib.suppress(Exception):\n"
    "    import absent\n",
    "in a function": "def late():\n    import absent.part\n",
    "in a method": "class Other:\n    async def late(self):\n        from absent import x\n",
    "in a lambda": "late = lambda: __import__('absent')\n",
    "by its name": "import importlib\ndef late():\n    importlib.import_module('absent')\n",
}


@pytest.mark.parametrize("text", OPTIONAL.values(), ids=OPTIONAL)
def test_an_import_that_is_not_reached_is_told_and_no_refusal(write: Write, text: str) -> None:
    bundle = built(write, text + X)
    assert step(bundle) == 1
    assert bundle.manifest.requirements == {}
    assert missing_optional(bundle) == ["absent"]


NEVER = {
    "the file as a program": "if __name__ == '__main__':\n    import absent\n",
    "and turned round": "if '__main__' == __name__ and True:\n    import absent\n",
    "checkers": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import absent\n",
    "checkers by module": "import typing as t\nif t.TYPE_CHECKING:\n"
    "    from absent import X as Y\n",
}


@pytest.mark.parametrize("text", NEVER.values(), ids=NEVER)
def test_what_no_actor_comes_to_is_not_even_told(write: Write, text: str) -> None:
    bundle = built(write, text + X)
    assert step(bundle) == 1
    assert missing_optional(bundle) == []


REQUIRED = {
    "at the top": "import absent\n",
    "in a class": "class Config:\n    import absent\n",
    "in a with": "import contextlib\nwith contextlib.nullcontext():\n    import absent\n",
    "in a try of another kind": "try:\n    import absent\nexcept KeyError:\n    pass\n",
    "where no checker looks": "from typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    pass\nelse:\n    import absent\n",
}


@pytest.mark.parametrize("text", REQUIRED.values(), ids=REQUIRED)
def test_what_it_cannot_be_loaded_without_is_refused_before_it_runs(
    write: Write, text: str
) -> None:
    with pytest.raises(BundleRefused, match=r"imports absent \(want any version, found none\)"):
        check(built(write, text + X), "x", "n1")


UNREAD = {
    "setup.py": "import absent\n",
    "tests/test_x.py": "import absent\nfrom zactor import Actor\nclass FakeX(Actor): pass\n",
    "tests/conftest.py": "import absent\n",
    "test_more.py": "import absent\nfrom zactor import Actor\nclass X(Actor): pass\n",
    "docs/conf.py": "import absent\n",
    "template.py": "class {{ name }}:\n",
    "old/python2.py": "print 'hello'\n",
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_folder_deploys_without_what_its_actors_do_not_need(write: Write, name: str) -> None:
    bundle = build_bundle(
        write({"x.py": "import helper\n" + X, "helper.py": "", name: UNREAD[name]})
    )
    assert step(bundle) == 1
    assert class_names(bundle.manifest) == ["X"]
    assert not any(path.startswith("src/tests/") for path in bundle.parts)


def test_tests_that_the_actors_import_go_along(write: Write) -> None:
    text = X.replace("return 1", "from tests.fake import VALUE\n        return VALUE")
    bundle = build_bundle(write({"x.py": text, "tests/fake.py": "VALUE = 3\n"}))
    assert step(bundle) == 3


def test_a_broken_module_that_the_actors_need_is_refused(write: Write) -> None:
    with pytest.raises(BundleRefused, match=r"helper\.py:1"):
        build_bundle(write({"x.py": "import helper\n" + X, "helper.py": "class {{ x }}:\n"}))


NAMESPACES = {
    "one folder": ("company/calc.py", "import company.calc"),
    "folders only": ("company/tools/calc.py", "import company.tools.calc"),
    "deeper": ("company/tools/deep/calc.py", "from company.tools.deep import calc"),
    "from the top": ("company/calc.py", "from company import calc"),
    "in a function": ("company/tools/calc.py", "def f():\n    import company.tools.calc"),
    "as": ("company/tools/calc.py", "import company.tools.calc as c"),
}


@pytest.mark.parametrize(("file", "text"), NAMESPACES.values(), ids=NAMESPACES)
def test_a_package_without_init_goes_along(write: Write, file: str, text: str) -> None:
    bundle = built(write, f"{text}\n{X}", **{file: "V = 1\n"})
    assert f"src/{file}" in bundle.parts
    assert step(bundle) == 1


def test_a_namespace_that_is_installed_too_has_both_halves(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "installed" / "company"
    other.mkdir(parents=True)
    (other / "elsewhere.py").write_text("V = 2\n")
    monkeypatch.syspath_prepend(str(other.parent))
    text = X.replace("return 1", "return company.calc.V + elsewhere.V")
    text = f"import company.calc\nfrom company import elsewhere\n{text}"
    assert step(built(write, text, **{"company/calc.py": "V = 1\n"})) == 3


def test_what_a_link_leads_to_has_its_modules_beside_it(write: Write, tmp_path: Path) -> None:
    folder = write({"x.py": "import helper\n" + X, "helper.py": ""})
    links = tmp_path / "bin"
    links.mkdir()
    for number, name in enumerate(("x.py", "renamed.py", "without_suffix")):
        link = links / name
        link.symlink_to(folder / "x.py" if number % 2 else Path("..") / "sources" / "x.py")
        bundle = build_bundle(link)
        assert sorted(bundle.parts) == ["src/helper.py", "src/x.py"]
        assert step(bundle) == 1
    (links / "twice.py").symlink_to("x.py")
    assert step(build_bundle(links / "twice.py")) == 1


def test_links_to_modules_are_followed_wherever_they_lie(write: Write, tmp_path: Path) -> None:
    shared = write({"messages.py": "V = 1\n", "kit/__init__.py": "", "kit/t.json": "{}"}, "shared")
    folder = write({"x.py": "import messages, kit\n" + X})
    (folder / "messages.py").symlink_to(shared / "messages.py")
    (folder / "kit").symlink_to(shared / "kit")
    (folder / "round").symlink_to(folder)
    for source in (folder, folder / "x.py"):
        bundle = build_bundle(source)
        assert {"src/messages.py", "src/kit/__init__.py", "src/kit/t.json"} <= set(bundle.parts)
        assert step(bundle) == 1
    assert build(folder).left["round/"] == "a link to a folder that it is in"


def test_a_link_to_data_elsewhere_is_refused_until_somebody_asks_for_it(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("mine")
    folder = write({"x.py": X})
    (folder / "data.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(BundleRefused, match="link out of the folder: put a copy there"):
        build_bundle(folder)
    (folder / ".zactorignore").write_text("data.txt\n")
    assert "src/data.txt" not in build_bundle(folder).parts
    (folder / ".zactorignore").write_text("!data.txt\n")
    assert build_bundle(folder).parts["src/data.txt"] == b"mine"


@pytest.mark.parametrize("name", ["sensor.v2.py", "my-sensor.py", "2nd.py", "a.b.c.py"])
def test_a_file_whose_name_cannot_be_imported_deploys(write: Write, name: str) -> None:
    bundle = build_bundle(write({name: "import helper\n" + X, "helper.py": ""}) / name)
    assert step(bundle) == 1


def test_two_files_that_would_be_one_module_are_refused(write: Write) -> None:
    folder = write({"x.v2.py": X, "x_v2.py": ""})
    with pytest.raises(BundleRefused, match="rename one of them"):
        build_bundle(folder / "x.v2.py")


BASE = ACTOR + "class Base(Actor):\n    def step(self): return self.which()\n"
WHICH = {
    "a star": "from base import *\nclass X(Base):\n",
    "a star of a star": "from middle import *\nclass X(Base):\n",
    "another name": "from base import Base as B\nclass X(B):\n",
    "its module": "import base\nclass X(base.Base):\n",
    "its module by another name": "import base as b\nclass X(b.Base):\n",
    "an assignment": "import base\nB = base.Base\nclass X(B):\n",
    "one or the other": "try:\n    from fast import Base\nexcept ImportError:\n"
    "    from base import Base\nclass X(Base):\n",
    "a mixin first": "from base import *\nclass Mixin: pass\nclass X(Mixin, Base):\n",
    "a subscript": "from typing import Generic, TypeVar\nfrom base import *\nT = TypeVar('T')\n"
    "class X(Base, Generic[T]):\n",
    "a base that is computed": "import base\ndef pick(): return base.Base\nclass X(pick()):\n",
}


@pytest.mark.parametrize("text", WHICH.values(), ids=WHICH)
def test_the_class_is_the_files_own_however_its_base_came(write: Write, text: str) -> None:
    source = text + "    def step(self=None): return 'x'\n"
    others = {"base.py": BASE, "middle.py": "from base import *\n"}
    for bundle in (built(write, source, **others), build_bundle(write({"x.py": source, **others}))):
        assert pick_type(bundle.manifest, "x") == "x:X"
        assert load_class(bundle, "x").step() == "x"  # type: ignore[attr-defined]


def test_a_base_of_an_installed_package_makes_no_silent_choice(write: Write) -> None:
    text = ACTOR + "from framework import *\nclass Helper(Actor): pass\nclass X(Worker): pass\n"
    manifest = built(write, text).manifest
    assert class_names(manifest) == ["Helper"]
    assert pick_type(manifest, "x") == "x:X"
    assert pick_type(manifest, "helper") == "x:Helper"


def test_of_several_candidates_none_is_guessed(write: Write) -> None:
    text = ACTOR + "class One(Actor): pass\nclass Two(Actor): pass\n"
    with pytest.raises(BundleRefused, match="it has: One, Two"):
        pick_type(built(write, text).manifest, "sensor")


def test_messages_are_no_candidates(write: Write) -> None:
    text = X + (
        "import enum, typing\nclass Level(enum.Enum): A = 1\nclass Oops(ValueError): pass\n"
        "class Pair(typing.NamedTuple):\n    a: int\nclass P(typing.Protocol): pass\n"
    )
    manifest = built(write, text).manifest
    assert (class_names(manifest), manifest.perhaps) == (["X"], {})
    assert pick_type(manifest, "anything") == "x:X"


def test_an_ignore_file_says_what_stays(write: Write) -> None:
    folder = write(
        {
            "x.py": X,
            ".zactorignore": "# ours\n*.csv\n!keep.csv\n/raw/*\nbig/\n!.env.example\n",
            "a.csv": "",
            "keep.csv": "",
            "raw/a.bin": "",
            "sub/raw/a.bin": "",
            "big/a.txt": "",
            "run.log": "",
            ".env": "secret",
            ".env.example": "",
            "venv/pyvenv.cfg": "",
        }
    )
    found = build(folder)
    assert sorted(found.bundle.parts) == [
        "src/.env.example",
        "src/keep.csv",
        "src/sub/raw/a.bin",
        "src/x.py",
    ]
    assert found.left == {
        ".env": "hidden",
        "a.csv": ".zactorignore: *.csv",
        "big/": ".zactorignore: big/",
        "raw/a.bin": ".zactorignore: /raw/*",
        "run.log": "a log",
        "venv/": "a virtual environment",
    }


def test_what_a_file_names_beside_it_goes_along(write: Write) -> None:
    text = (
        "from pathlib import Path\nHERE = Path(__file__).parent\n"
        "CONFIG = HERE / 'filter.json'\nPAGE = HERE / 'pages' / 'a.html'\n"
    )
    others = {"filter.json": "{}", "pages/a.html": "", "pages/b.html": "", "other.json": "{}"}
    found = build(write({"x.py": text + X, **others}) / "x.py")
    assert set(found.bundle.parts) == {
        "src/filter.json",
        "src/pages/a.html",
        "src/pages/b.html",
        "src/x.py",
    }
    assert found.why["src/filter.json"] == "x names it"


WANTS = {
    "requirements.txt": "# ours\nnumpy>=2  # fast\n-r more.txt\n"
    "pandas[all]==2.*; python_version>'3'\n",
    "pyproject.toml": "[project]\nname='x'\ndependencies = ['NumPy>=2', 'attrs']\n",
}


def test_what_a_project_says_that_it_needs_is_read(write: Write) -> None:
    listed = build_bundle(write({"x.py": X, "requirements.txt": WANTS["requirements.txt"]}, "a"))
    assert listed.manifest.wants == ("numpy>=2", "pandas[all]==2.*; python_version>'3'")
    project = build_bundle(write({"x.py": X, **WANTS}, "b"))
    assert project.manifest.wants[:2] == ("attrs", "NumPy>=2")
    header = '# /// script\n# dependencies = ["httpx<1", "rich"]\n# ///\n'
    assert built(write, header + X).manifest.wants == ("httpx<1", "rich")
    for text in ("# /// script\n# dependencies = [\n# ///\n", "# /// script\n", ""):
        assert built(write, text + X).manifest.wants == ()


def test_who_lacks_a_module_reads_what_the_author_asks_for(write: Write) -> None:
    text = '# /// script\n# dependencies = ["absent-dist>=3"]\n# ///\nimport absent\n' + X
    with pytest.raises(
        BundleRefused, match=r"install it there \(its author asks for absent-dist>=3"
    ):
        check(built(write, text), "x", "n1")


def test_each_type_of_a_folder_needs_only_its_own(write: Write) -> None:
    camera = "import absent\n" + X.replace("class X", "class Camera")
    bundle = build_bundle(write({"x.py": X, "camera.py": camera}))
    assert step(bundle) == 1
    with pytest.raises(BundleRefused, match="imports absent"):
        check(bundle, "camera", "n1")
    assert list(bundle.manifest.requirements) == ["absent"]


def test_a_project_with_a_src_folder_is_imported_from_there(write: Write) -> None:
    files = {
        "pyproject.toml": "[project]\nname = 'p'\n",
        "src/pkg/__init__.py": "",
        "src/pkg/x.py": "from pkg import helper\n" + X,
        "src/pkg/helper.py": "",
        "tests/test_x.py": "import absent\n",
    }
    bundle = build_bundle(write(files))
    assert bundle.manifest.types["x"] == "pkg.x:X"
    assert step(bundle) == 1


def test_a_folder_whose_only_actor_has_an_odd_name_says_so(write: Write) -> None:
    with pytest.raises(BundleRefused, match=r"x\.v2\.py can't be imported by that name"):
        build_bundle(write({"x.v2.py": X}))


def test_what_a_helper_reads_and_its_caller_names_goes_along(write: Write) -> None:
    helper = "import inspect, os\ndef read(name):\n    with open(os.path.join("
    helper += "os.path.dirname(inspect.getfile(read)), name)) as f:\n        return f.read()\n"
    text = X.replace("return 1", "import helper\n        return helper.read('d.json')")
    for content in ("one", "two"):
        files = {"x.py": text, "helper.py": helper, "d.json": content, "e.json": ""}
        bundle = build_bundle(write(files) / "x.py")
        assert sorted(bundle.parts) == ["src/d.json", "src/helper.py", "src/x.py"]
        assert step(bundle) == content


PLUGINS = {
    "by a literal": "importlib.import_module('plugin').V",
    "out of a table": "importlib.import_module({'a': 'plugin'}['a']).V",
    "by a part": "importlib.import_module(f'plugins.{\"one\"}').V",
    "by a function": "pkgutil.resolve_name('plugin:V')",
    "by its file": "load(pathlib.Path(__file__).parent / 'plugin.py').V",
}
LOAD = """import importlib, importlib.util, pathlib, pkgutil
def load(path):
    spec = importlib.util.spec_from_file_location("any", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
"""


@pytest.mark.parametrize("how", PLUGINS.values(), ids=PLUGINS)
def test_a_plugin_that_a_file_names_goes_along_and_is_read_anew(write: Write, how: str) -> None:
    text = LOAD + X.replace("return 1", f"return {how}")
    for value in (5, 6):
        plugins = {"plugin.py": f"V = {value}\n", "plugins/one.py": f"V = {value}\n"}
        assert step(build_bundle(write({"x.py": text, **plugins}) / "x.py")) == value
