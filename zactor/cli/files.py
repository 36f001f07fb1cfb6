"""`zactor bundle` and `zactor keys`: what lies in files and needs no node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from zactor.cli.common import CONTEXT, Printing, family, note, settings


def _print(fields: Mapping[str, object]) -> None:
    from zactor.cli.output import record, to_json

    as_json = settings(click.get_current_context()).json
    click.echo(to_json(fields) if as_json else record(fields))


def _command(
    name: str,
    callback: Callable[..., None],
    help_text: str,
    parameters: Sequence[click.Parameter] = (),
) -> click.Command:
    return Printing(
        name,
        callback=callback,
        help=help_text,
        params=list(parameters),
        context_settings=CONTEXT,
    )


# -- bundle ----------------------------------------------------------------------------------
def _build(source: str, output: str) -> None:
    from zactor.bundles.build import build_bundle
    from zactor.kernel.errors import NoSuchThing

    if not Path(source).exists():
        raise NoSuchThing(f"there is no file or folder {source!r}")
    note(f"building {source}")
    made = build_bundle(Path(source))
    # Whole or not at all: a reader never sees half a bundle under its name.
    draft = Path(f"{output}.new")
    draft.write_bytes(made.data)
    draft.replace(output)
    _print({"file": output, "bundle": made.identity, "bytes": len(made.data)})


def _show(file: str) -> None:
    from zactor.bundles.manifest import class_names, identity_of, read_manifest

    manifest = read_manifest(file)
    fields: dict[str, object] = {
        "bundle": identity_of(Path(file).read_bytes()),
        "name": manifest.name,
        "version": manifest.version,
        "python": ".".join(str(part) for part in manifest.python),
        "created_by": manifest.created_by,
        "signed": bool(manifest.signature),
        "types": class_names(manifest),
        "requirements": [
            f"{module}=={version}" if version else module
            for module, version in manifest.requirements.items()
        ],
        "files": list(manifest.parts),
    }
    if settings(click.get_current_context()).json:
        fields |= {
            "types": manifest.types,
            "requirements": manifest.requirements,
            "files": {
                path: {"sha256": part.sha256.hex(), "bytes": part.size}
                for path, part in manifest.parts.items()
            },
        }
    _print(fields)


def _verify(file: str) -> None:
    from zactor.bundles.manifest import verify

    found = verify(file)
    if settings(click.get_current_context()).json:
        _print({"file": file, "bundle": found.identity, "ok": True, "parts": len(found.parts)})
    else:
        click.echo(f"{file} is intact: {found.identity}, {len(found.parts)} files")


_FILE = "FILE"
bundle = family(
    "bundle",
    "Build, show and verify bundles: one file with the code of types of actors.",
    ("home", "json"),
    [
        _command(
            "build",
            _build,
            "Make a bundle of a .py file or a folder.",
            [
                click.Argument(["source"], metavar="SRC"),
                click.Option(["-o", "--output"], required=True, metavar=_FILE, help="Where to."),
            ],
        ),
        _command("show", _show, "Print what a bundle has.", [click.Argument(["file"])]),
        _command("verify", _verify, "Check every hash of a bundle.", [click.Argument(["file"])]),
    ],
)


# -- keys ------------------------------------------------------------------------------------
def _init() -> None:
    from zactor.kernel.transport import keys as store

    home = settings(click.get_current_context()).home_folder
    store.cluster_keys(home)
    _print(store.describe(home))


def _show_keys() -> None:
    from zactor.kernel.transport import keys as store

    _print(store.describe(settings(click.get_current_context()).home_folder))


def _token() -> None:
    from zactor.kernel.transport import keys as store

    given = settings(click.get_current_context())
    line = store.token(given.home_folder)  # makes the keys where there are none yet
    if given.json:
        _print({"token": line})
    else:
        click.echo(line)


def _join(token: str) -> None:
    from zactor.kernel.transport import keys as store

    home = settings(click.get_current_context()).home_folder
    store.join(home, sys.stdin.readline() if token == "-" else token)
    _print(store.describe(home))


keys = family(
    "keys",
    "Make, pass on and show the cluster's keys. Who has the token is in the cluster.",
    ("home", "json"),
    [
        _command("init", _init, "Make this home's keys, unless it has them."),
        _command("token", _token, "Print the line that lets another machine join."),
        _command(
            "join",
            _join,
            "Join the cluster of TOKEN; - reads it from stdin, where `ps` shows nothing.",
            [click.Argument(["token"])],
        ),
        _command("show", _show_keys, "Print the cluster's id and fingerprints, no secrets."),
    ],
)
