"""`zactor web` as it is started: what it needs, where it may listen, what it may do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor.cli.web import PageSettings
from zactor.kernel.errors import ConfigError


def page(
    bind: str | None = None, *, hosts: tuple[str, ...] = (), tls: bool = False, **given: bool
) -> PageSettings:
    """The settings that a command line makes."""
    file = "file" if tls else None
    flags = {"behind_proxy": False, "read_only": False, "allow_changes": False, **given}
    return PageSettings(bind, hosts, file, file, **flags)


def run_without(package: str, *words: str, home: Path) -> tuple[int, str]:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from zactor.cli.main import run\n"
        "sys.exit(run(sys.argv[1:]))"
    )
    done = run_to_end([sys.executable, "-c", code, *words, "--home", home])
    return done.returncode, done.stderr


@pytest.mark.parametrize("package", ["starlette", "uvicorn"])
def test_without_its_packages_it_says_which_to_install(package: str, tmp_path: Path) -> None:
    assert run_without(package, "web", home=tmp_path) == (
        1,
        "zactor: the page needs two packages: pip install 'zactor[web]'\n",
    )


def test_importing_zactor_imports_none_of_it() -> None:
    code = "import sys, zactor, zactor.cli.main; zactor.connect; zactor.local; print(*sys.modules)"
    loaded = run_to_end([sys.executable, "-c", code], check=True).stdout.split()
    assert not {"starlette", "uvicorn", "anyio", "h11", "prometheus_client"} & set(loaded)


@pytest.mark.parametrize("bind", ["0.0.0.0:4880", "10.0.0.7", "lab.example:80", "[::]:4880"])
def test_other_machines_need_a_certificate_or_a_proxy(bind: str) -> None:
    with pytest.raises(ConfigError, match="--tls-cert and --tls-key, or --behind-proxy"):
        page(bind)
    for settings in (page(bind, tls=True), page(bind, behind_proxy=True)):
        assert not settings.may_change
    assert page(bind, tls=True, allow_changes=True).may_change


def test_behind_a_proxy_it_is_https_and_reached_from_elsewhere() -> None:
    behind = page(behind_proxy=True)
    assert (behind.is_secure, behind.may_change) == (True, False)
    assert behind.url(4880).startswith("https://")
    assert page(behind_proxy=True, allow_changes=True).may_change
    assert not page().is_secure


def test_on_this_machine_it_may_change_things_unless_it_is_told_not_to() -> None:
    assert page().may_change
    assert page().host == "127.0.0.1"
    assert not page(read_only=True).may_change
    assert page("4999").port == page("127.0.0.1:4999").port == 4999
    assert page("[::1]:4999").url(4999) == "http://[::1]:4999/"
    assert page("0.0.0.0", hosts=("lab.example",), tls=True).url(1) == "https://lab.example:1/"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="is no port"):
        page("127.0.0.1:http")
    with pytest.raises(ConfigError, match="one of them"):
        page(read_only=True, allow_changes=True)
    with pytest.raises(ConfigError, match="belong together"):
        PageSettings(
            None, (), "file", None, behind_proxy=False, read_only=False, allow_changes=False
        )


def test_where_no_page_runs_there_is_no_link(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "zactor", "web", "--link", "--home", tmp_path]
    done = run_to_end(words)
    assert done.returncode == 4
    assert "no page of this home runs at port 4880" in done.stderr
