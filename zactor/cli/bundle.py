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


def _show(source: str) -> None:
    from zactor.bundles.build import BundleSummary, build
    from zactor.bundles.manifest import class_names

    built: BundleSummary = build(source)
    manifest = built.bundle.manifest
    fields: dict[str, object] = {
        "bundle": built.bundle.identity,
        "name": manifest.name,
        "version": manifest.version,
        "python": ".".join(str(part) for part in manifest.python),
        "platform": manifest.platform,
        "created_by": manifest.created_by,
        "signed": bool(manifest.signature),
        "types": class_names(manifest),
        "requirements": _listed(manifest.requirements),
        "optional": _listed(manifest.optional),
        "wants": list(manifest.wants),
        "bytes": len(built.bundle.data),
        "files": [
            f"{path}  {part.size} B" + (f"  {built.why[path]}" if path in built.why else "")
            for path, part in manifest.parts.items()
        ],
        "left": [f"{path}  {why}" for path, why in sorted(built.left.items())],
    }
    if settings(click.get_current_context()).json:
        fields |= {
            "types": manifest.types,
            "requirements": manifest.requirements,
            "optional": manifest.optional,
            "modules": manifest.modules,
            "files": {
                path: {"sha256": part.sha256.hex(), "bytes": part.size}
                | ({"why": built.why[path]} if path in built.why else {})
                for path, part in manifest.parts.items()
            },
            "left": dict(sorted(built.left.items())),
        }
    print_fields(fields)


def _listed(requirements: dict[str, str]) -> list[str]:
    return [
        f"{module}=={version}" if version else module for module, version in requirements.items()
    ]


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
        printing_command(
            "show",
            _show,
            "Print what a bundle has; of a .py file or a folder, what would go in and why.",
            [click.Argument(["source"], metavar="FILE|SRC")],
        ),
        printing_command(
            "verify", _verify, "Check every hash of a bundle.", [click.Argument(["file"])]
        ),
    ],
)
