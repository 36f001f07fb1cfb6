"""`zactor bundle`: bundles in files, which need no node."""

from __future__ import annotations

from pathlib import Path

import click

from zactor.cli.common import family, print_fields, printing_command, say, settings, tell_progress


# -- bundle ----------------------------------------------------------------------------------
def _build(source: str, output: str) -> None:
    from zactor.bundles.build import build_bundle
    from zactor.kernel.errors import NoSuchThing

    if not Path(source).exists():
        raise NoSuchThing(f"there is no file or folder {source!r}")
    tell_progress(f"building {source}")
    made = build_bundle(Path(source))
    # Whole or not at all: a reader never sees half a bundle under its name.
    draft = Path(f"{output}.new")
    draft.write_bytes(made.data)
    draft.replace(output)
    print_fields({"file": output, "bundle": made.identity, "bytes": len(made.data)})


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
    print_fields(fields)


def _verify(file: str) -> None:
    from zactor.bundles.manifest import verify

    found = verify(file)
    if settings(click.get_current_context()).json:
        print_fields(
            {"file": file, "bundle": found.identity, "ok": True, "parts": len(found.parts)}
        )
    else:
        say(f"{file} is intact: {found.identity}, {len(found.parts)} files")


_FILE = "FILE"

bundle = family(
    "bundle",
    "Build, show and verify bundles: one file with the code of types of actors.",
    ("home", "json"),
    [
        printing_command(
            "build",
            _build,
            "Make a bundle of a .py file or a folder.",
            [
                click.Argument(["source"], metavar="SRC"),
                click.Option(["-o", "--output"], required=True, metavar=_FILE, help="Where to."),
            ],
        ),
        printing_command("show", _show, "Print what a bundle has.", [click.Argument(["file"])]),
        printing_command(
            "verify", _verify, "Check every hash of a bundle.", [click.Argument(["file"])]
        ),
    ],
)
