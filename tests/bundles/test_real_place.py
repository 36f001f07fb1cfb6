"""A bundle is a place: what its modules look for beside them is there, as where it was built."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import pytest

from zactor.bundles import load
from zactor.bundles.build import build_bundle
from zactor.bundles.load import attach, detach, forget, load_class, private_name
from zactor.bundles.manifest import Bundle
from zactor.bundles.store import BundleStore
from zactor.bundles.unpacked import UnpackedBundles

from .conftest import Write

ACTOR = "from zactor import Actor\n"
FILES = {
    "d.txt": "data",
    "sub/e.txt": "deep",
    "plugin.py": "V = 5\n",
    "plugins/__init__.py": "",
    "plugins/one.py": "NAME = 'one'\n",
    "plugins/two.py": "from .one import NAME as OTHER\nNAME = 'two'\n",
    "space/three.py": "NAME = 'three'\n",
}


def actor(body: str) -> str:
    lines = "\n        ".join(body.splitlines())
    return f"{ACTOR}class X(Actor):\n    def step(self):\n        {lines}\n"


def step(bundle: Bundle) -> object:
    return load_class(bundle, "x").step(None)  # type: ignore[attr-defined]


LOOKS = {
    "pathlib": (
        "import pathlib\nreturn (pathlib.Path(__file__).parent / 'd.txt').read_text()",
        "data",
    ),
    "os.path": (
        "import os\n"
        "with open(os.path.join(os.path.dirname(__file__), 'd.txt')) as f:\n    return f.read()",
        "data",
    ),
    "a folder": (
        "import pathlib\nreturn (pathlib.Path(__file__).parent / 'sub/e.txt').read_text()",
        "deep",
    ),
    "listing": (
        "import pathlib\n"
        "return sorted(p.name for p in pathlib.Path(__file__).parent.glob('*.txt'))",
        ["d.txt"],
    ),
    "resources": (
        "from importlib import resources\n"
        "return (resources.files(__package__) / 'd.txt').read_text()",
        "data",
    ),
    "resources of a package": (
        "from importlib import resources\nimport plugins\n"
        "return (resources.files(plugins) / 'one.py').read_text()",
        "NAME = 'one'\n",
    ),
    "resources by name": (
        "from importlib import resources\nreturn (resources.files('plugins') / 'one.py').is_file()",
        True,
    ),
    "as_file": (
        "from importlib import resources\n"
        "with resources.as_file(resources.files(__package__) / 'd.txt') as p:\n"
        "    return p.read_text()",
        "data",
    ),
    "pkgutil.get_data": ("import pkgutil\nreturn pkgutil.get_data(__package__, 'd.txt')", b"data"),
    "import_module": ("import importlib\nreturn importlib.import_module('plugin').V", 5),
    "import_module as it is taken": (
        "from importlib import import_module as load\nname = 'plug' + 'in'\nreturn load(name).V",
        5,
    ),
    "import_module of a relative name": (
        "import importlib\nreturn importlib.import_module('.plugin', __package__).V",
        5,
    ),
    "import_module of a part": (
        "import importlib\nreturn importlib.import_module('plugins.two').OTHER",
        "one",
    ),
    "import_module of a namespace": (
        "import importlib\nreturn importlib.import_module('space.three').NAME",
        "three",
    ),
    "__import__": ("return __import__('plugin').V", 5),
    "__import__ with a list": ("return __import__('plugins.one', fromlist=['NAME']).NAME", "one"),
    "exec": ("names = {}\nexec('import plugin', names)\nreturn names['plugin'].V", 5),
    "resolve_name": ("import pkgutil\nreturn pkgutil.resolve_name('plugin:V')", 5),
    "find_spec": (
        "import importlib.util\nreturn importlib.util.find_spec('plugin') is not None",
        True,
    ),
    "iter_modules": (
        "import importlib, pkgutil, plugins\n"
        "return [importlib.import_module(f'{plugins.__name__}.{m.name}').NAME\n"
        "        for m in pkgutil.iter_modules(plugins.__path__)]",
        ["one", "two"],
    ),
    "iter_modules with plain names": (
        "import importlib, pkgutil, plugins\n"
        "return [importlib.import_module(m.name).NAME\n"
        "        for m in pkgutil.iter_modules(plugins.__path__, 'plugins.')]",
        ["one", "two"],
    ),
    "walk_packages": (
        "import pkgutil, plugins\n"
        "return [m.name for m in pkgutil.walk_packages(plugins.__path__, 'plugins.')]",
        ["plugins.one", "plugins.two"],
    ),
    "getsource": ("import inspect, plugin\nreturn inspect.getsource(plugin)", "V = 5\n"),
    "hints": (
        "import typing, dataclasses\n@dataclasses.dataclass\nclass D:\n    a: 'int'\n"
        "return typing.get_type_hints(D)['a'].__name__",
        "int",
    ),
    "reload": ("import importlib, plugin\nplugin.V = 6\nreturn importlib.reload(plugin).V", 5),
}


@pytest.mark.parametrize(("body", "found"), LOOKS.values(), ids=LOOKS)
def test_a_module_finds_what_lies_beside_it(write: Write, body: str, found: object) -> None:
    before = set(sys.modules)
    assert step(build_bundle(write({"x.py": actor(body), **FILES}))) == found
    appeared = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert not appeared & {"plugin", "plugins", "space", "x"}


@pytest.mark.parametrize("name", ["pathlib", "os.path", "a folder", "import_module"])
def test_a_file_alone_brings_what_it_names(write: Write, name: str) -> None:
    body, found = LOOKS[name]
    assert step(build_bundle(write({"x.py": actor(body), **FILES}) / "x.py")) == found


def test_a_package_reads_its_own_files(write: Write) -> None:
    text = "from pathlib import Path\nVERSION = (Path(__file__).parent / 'v.txt').read_text()\n"
    files = {
        "kit/__init__.py": text,
        "kit/v.txt": "7",
        "x.py": actor("import kit\nreturn kit.VERSION"),
    }
    folder = write(files)
    assert step(build_bundle(folder / "x.py")) == step(build_bundle(folder)) == "7"


def test_an_edited_data_file_is_read_anew_though_the_module_is_the_same(write: Write) -> None:
    body, _ = LOOKS["pathlib"]
    for text in ("one", "two"):
        files = {"x.py": actor(body), "d.txt": text}
        assert step(build_bundle(write(files))) == text
        helper = {"x.py": actor("import helper\nreturn helper.get()"), "d.txt": text}
        helper["helper.py"] = "def get():\n    " + body.replace("\n", "\n    ")
        assert step(build_bundle(write(helper, "with_helper"))) == text


def test_a_library_that_imports_by_name_finds_the_bundles_own(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "site" / "a_library.py"
    library.parent.mkdir()
    library.write_text("import importlib\ndef load(name): return importlib.import_module(name)\n")
    monkeypatch.syspath_prepend(str(library.parent))
    bundles = [
        build_bundle(
            write(
                {
                    "x.py": actor("import a_library\nreturn a_library.load('plugin').V"),
                    "plugin.py": f"V = {v}",
                }
            )
        )
        for v in (1, 2)
    ]
    assert [step(bundle) for bundle in (*bundles, *bundles)] == [1, 2, 1, 2]
    with pytest.raises(ModuleNotFoundError):
        sys.modules["a_library"].load("plugin")


def test_what_a_library_imports_itself_is_never_a_bundles(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "its_library.py").write_text(
        "import its_config, importlib\nV = its_config.V\n"
        "def late():\n    import its_late\n    return its_late.V\n"
        "def named(): return importlib.import_module('its_named').V\n"
    )
    for name in ("its_config", "its_late", "its_named"):
        (site / f"{name}.py").write_text("V = 'its own'\n")
    monkeypatch.syspath_prepend(str(site))
    body = "import its_library as l, its_config\nreturn l.V, l.late(), l.named(), its_config.V"
    own = {f"{name}.py": "V = 'mine'\n" for name in ("its_config", "its_late", "its_named")}
    bundle = build_bundle(write({"x.py": actor(body), **own}))
    assert step(bundle) == ("its own", "its own", "its own", "mine")


def test_the_source_of_a_class_can_be_read(write: Write) -> None:
    text = actor("return 1")
    assert inspect.getsource(load_class(build_bundle(write({"x.py": text}) / "x.py"), "x")) in text


def test_a_bundle_is_unpacked_once_read_only_and_checked(write: Write, tmp_path: Path) -> None:
    bundle = build_bundle(write({"x.py": actor("return 1"), "sub/d.txt": "data"}))
    unpacked = UnpackedBundles(tmp_path / "cache")
    folder = unpacked.path_of(bundle)
    file = folder / "sub" / "d.txt"
    assert file.stat().st_mode & 0o777 == 0o444
    assert folder.stat().st_mode & 0o777 == 0o700
    first = folder.stat().st_ino
    assert UnpackedBundles(tmp_path / "cache").path_of(bundle) == folder
    assert folder.stat().st_ino == first
    os.chmod(file, 0o644)
    file.write_text("other")
    assert unpacked.path_of(bundle) == folder
    assert file.read_text() == "data"
    (folder / "more.py").write_text("")
    assert sorted(path.name for path in unpacked.path_of(bundle).iterdir()) == ["sub", "x.py"]
    assert unpacked.sweep([bundle.identity]) == []
    assert unpacked.sweep([]) == [folder.name]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_bundle_of_a_store_is_unpacked_beside_it(write: Write, tmp_path: Path) -> None:
    bundle = build_bundle(write({"x.py": actor("return __file__")}))
    store = BundleStore(tmp_path / "bundles")
    attach(store)
    try:
        store.put(bundle)
        file = step(bundle)
        assert str(file).startswith(f"{tmp_path / 'bundles' / 'unpacked'}{os.sep}")
    finally:
        detach(store)
        forget(bundle.identity)
    assert private_name(bundle.identity) not in {name.partition(".")[0] for name in sys.modules}
    assert load.loaded_identities() == set()
