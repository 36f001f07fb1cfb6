"""What a module's source says without being run: its imports and its actor classes.

Bundles are built on consoles that may lack what the actors need (a GPU library, say), so a source
is parsed, never imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from zactor.kernel.errors import BundleRefused


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports."""

    module: str  # dotted, absolute: relative ones are resolved
    name: str  # what is taken out of it; "" for `import module`
    alias: str  # what it is called from then on
    required: bool  # False inside `try: … except ImportError` and `if TYPE_CHECKING`


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in one module."""

    module: str
    imports: tuple[Import, ...]
    classes: Mapping[str, tuple[str, ...]]  # top-level class -> its bases as they are written
    version: str  # the literal `__version__`, "" without one


def scan(module: str, source: bytes, *, is_package: bool, shown: str) -> Scan:
    """Parse one module; `shown` is how messages call its file.

    Raises:
        BundleRefused: a syntax error, or a relative import that leaves the bundle.
    """
    try:
        tree = ast.parse(source, filename=shown)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        why = getattr(error, "msg", None) or str(error)
        raise BundleRefused(f"{shown}:{line}: {why}") from None
    package = module if is_package else module.rpartition(".")[0]
    return Scan(
        module=module,
        imports=tuple(_imports(tree, package, shown, required=True)),
        classes={
            node.name: tuple(filter(None, map(_dotted, node.bases)))
            for node in _top_level(tree.body)
            if isinstance(node, ast.ClassDef)
        },
        version=_version(tree),
    )


def actor_classes(scans: Mapping[str, Scan]) -> dict[str, list[str]]:
    """Return {module: [classes]} of what derives from Actor, through any module in `scans`.

    A base from elsewhere counts when its name ends in `Actor`.
    """
    finder = _ActorFinder(scans)
    found = {
        module: [name for name in one.classes if finder.is_actor(module, name)]
        for module, one in scans.items()
    }
    return {module: names for module, names in found.items() if names}


class _ActorFinder:
    def __init__(self, scans: Mapping[str, Scan]) -> None:
        self._scans = scans
        self._known: dict[tuple[str, str], bool] = {}

    def is_actor(self, module: str, name: str) -> bool:
        """Whether `name`, as `module` understands it, is an actor class."""
        key = (module, name)
        if key not in self._known:
            self._known[key] = False  # what derives from itself in a circle is none
            self._known[key] = self._look(module, name)
        return self._known[key]

    def _look(self, module: str, name: str) -> bool:
        one = self._scans[module]
        head, _, rest = name.partition(".")
        if not rest and head in one.classes:
            return any(self.is_actor(module, base) for base in one.classes[head])
        for item in one.imports:
            if item.alias != head:
                continue
            full = f"{item.module}.{item.name}" if item.name else item.module
            home, _, last = f"{full}.{rest}".rstrip(".").rpartition(".")
            if home in self._scans and home != module:
                return self.is_actor(home, last)
            return last.endswith("Actor")
        return False


def _imports(node: ast.AST, package: str, shown: str, *, required: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                for alias in names:
                    # `import a.b` binds a, `import a.b as c` binds a.b
                    bound = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield Import(alias.name, "", alias.asname or bound, required)
            case ast.ImportFrom(names=names):
                home = _home(child, package, shown)
                for alias in names:
                    yield Import(home, alias.name, alias.asname or alias.name, required)
            case ast.Try(body=body) if _survives_import_error(child):
                for statement in body:
                    yield from _imports(ast.Module([statement], []), package, shown, required=False)
                rest = [*child.orelse, *child.finalbody]
                for handler in child.handlers:
                    rest += handler.body
                yield from _imports(ast.Module(rest, []), package, shown, required=False)
            case ast.If(test=test) if (_dotted(test) or "").endswith("TYPE_CHECKING"):
                inner = ast.Module(child.body, [])
                yield from _imports(inner, package, shown, required=False)
                yield from _imports(ast.Module(child.orelse, []), package, shown, required=required)
            case _:
                yield from _imports(child, package, shown, required=required)


def _home(node: ast.ImportFrom, package: str, shown: str) -> str:
    """The absolute name of the module that a `from … import` takes from."""
    if node.level == 0:
        return node.module or ""
    steps = package.split(".") if package else []
    up = node.level - 1
    if up > len(steps):
        raise BundleRefused(
            f"{shown}:{node.lineno}: this relative import leaves the bundle; "
            f"bundle the folder of the whole package instead"
        )
    return ".".join([*steps[: len(steps) - up], *filter(None, [node.module])])


def _survives_import_error(node: ast.Try) -> bool:
    caught = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any(kind is None or _dotted(kind) in caught for kind in kinds):
            return True
    return False


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, also those under `if` and `try`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _top_level(node.body)
        if isinstance(node, ast.If | ast.Try):
            yield from _top_level(node.orelse)
        if isinstance(node, ast.Try):
            for handler in node.handlers:
                yield from _top_level(handler.body)


def _dotted(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            front = _dotted(value)
            return f"{front}.{attr}" if front else None
        case ast.Subscript(value=value):
            return _dotted(value)
    return None


def _version(tree: ast.Module) -> str:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__version__")], value=ast.Constant(value=value)):
                return str(value)
    return ""
