"""What is installed is what is here: the traps of LAYOUT, each closed by a test."""

from __future__ import annotations

import configparser
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from deadlines import run_to_end
from slowness import Slowness

ROOT = Path(__file__).resolve().parents[2]
IMPORT_S_MAX = 0.25
NEEDED = ("setup.cfg", "pyproject.toml", "LICENSE", "README.md")


def settings() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def mapped() -> dict[str, str]:
    """{"zactor.kernel": "kernel", …}"""
    lines = settings()["options"]["package_dir"].strip().splitlines()
    pairs = (line.split("=") for line in lines)
    return {package.strip(): folder.strip() for package, folder in pairs}


def package_folders() -> dict[str, Path]:
    """Every folder of the tree that holds modules, by the name it is imported under."""
    found = {}
    for package, folder in {"zactor": "zactor", **mapped()}.items():
        for path in (ROOT / folder).rglob("*.py"):
            inner = path.parent.relative_to(ROOT / folder).parts
            found[".".join([package, *inner])] = path.parent
    return found


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_to_end(words, cwd=cwd, env=os.environ)


def test_packages_lists_every_package_of_the_tree() -> None:
    listed = settings()["options"]["packages"].split()
    assert sorted(listed) == sorted(package_folders())
    assert len(set(listed)) == len(listed)


def test_every_package_has_an_init() -> None:
    missing = [
        name for name, path in package_folders().items() if not (path / "__init__.py").is_file()
    ]
    assert not missing


@pytest.mark.parametrize("package", sorted(mapped()))
def test_a_mapped_folder_refuses_to_be_imported_by_its_own_name(package: str) -> None:
    done = run(sys.executable, "-c", f"import {mapped()[package]}", cwd=ROOT)
    assert done.returncode != 0
    assert f"import this package as {package}" in done.stderr


def numbers(version: str) -> list[int]:
    """ "26.1" -> [26, 1]: for comparisons; what follows the numbers (rc1) doesn't matter here."""
    return [int(step) for step in re.findall(r"\d+", version)[:3]]


def bounds() -> dict[str, dict[str, str]]:
    """{"click": {">=": "8.1", "<": "8.6"}, …}"""
    found = {}
    for line in settings()["options"]["install_requires"].split():
        name = re.split("[<>=!~]", line)[0]
        found[name] = dict(re.findall(r"([<>=!~]+)([\w.]+)", line))
    return found


def test_every_core_dependency_has_a_lower_and_an_upper_bound() -> None:
    assert bounds()
    for name, of_it in bounds().items():
        assert set(of_it) == {">=", "<"}, name
        assert numbers(of_it[">="]) < numbers(of_it["<"]), name


def test_what_is_installed_lies_within_the_bounds() -> None:
    for name, of_it in bounds().items():
        here = numbers(importlib.metadata.version(name))
        assert numbers(of_it[">="]) <= here < numbers(of_it["<"]), name


def test_the_oldest_allowed_versions_are_the_lower_bounds_and_make_installs_them(
    tmp_path: Path,
) -> None:
    done = run(sys.executable, ROOT / "scripts" / "oldest.py", cwd=tmp_path)
    pins = [f"{name}=={of_it['>=']}" for name, of_it in bounds().items()]
    assert done.stdout.split() == pins, done.stderr
    words = ("-n", "test", f"VENV={tmp_path / 'env'}", f"PINS={done.stdout.strip()}")
    recipe = run("make", *words, cwd=ROOT).stdout
    assert f"install --editable '.[test]' {' '.join(pins)}\n" in recipe


def test_importing_zactor_is_quick(slowness: Slowness) -> None:
    code = "import time; t = time.perf_counter(); import zactor; print(time.perf_counter() - t)"
    best = min(
        float(run(sys.executable, "-c", code, cwd=Path("/")).stdout.strip()) for _ in range(5)
    )
    assert slowness.quiet_s(best) < IMPORT_S_MAX


def test_every_test_file_has_a_name_of_its_own() -> None:
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built in a copy, so that the tree stays as it is."""
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("setuptools is too old for license_expression; the extra [test] brings it")
    copy = tmp_path_factory.mktemp("tree")
    for name in NEEDED:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    for folder in ("zactor", *mapped().values()):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    target = tmp_path_factory.mktemp("wheel")
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "-q", "-w")
    done = run(sys.executable, "-m", "pip", "wheel", *flags, target, copy, cwd=target)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl"))


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    expected = {
        f"{name.replace('.', '/')}/{file.name}"
        for name, folder in package_folders().items()
        for file in folder.iterdir()
        if file.is_file() and file.suffix != ".pyc"
    }
    static = ROOT / "zactor" / "web" / "static"
    expected |= {f"zactor/web/static/{file.name}" for file in static.iterdir()}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert held == expected


def test_the_wheel_runs_from_another_folder(
    wheel: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # Its own environment without the editable install; the dependencies are looked up in ours.
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    site = next((tmp_path / "env" / "lib").glob("python*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    ours = Path(importlib.metadata.distribution("msgspec").locate_file("")).resolve()
    code = (
        f"import sys; sys.path.append({os.fspath(ours)!r})\n"
        "import zactor.kernel.messages, zactor.bundles.build, zactor\n"
        "print(zactor.__file__, zactor.kernel.__file__)"
    )
    done = run(tmp_path / "env" / "bin" / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(Path(file).is_relative_to(site) for file in done.stdout.split())
