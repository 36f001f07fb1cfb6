"""Try packages of PyPI in actors: each imports one at top level, holds its objects, sends them.

    python scripts/packages.py                 all that are installed here, as a table
    python scripts/packages.py numpy attrs     these

Of each package an actor on n1 holds what projects keep there (a client, an engine, a model), and
sends an object to an actor on n2, which says whether it is the same; the program asks for one, and
sends it back. What doesn't work is told in the words that its user would read. Exit code 1:
something differs from what EXPECTED says of it.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zactor import BlockingMaster, ZactorError, local


@dataclass(frozen=True)
class Package:
    """How a package is used: Python text."""

    imports: str
    make: str  # an object that travels
    same: str = "a == b"  # of two such, whether they are equal
    hold: str = ""  # what an actor keeps, if that is something else
    uses: str = "len(repr(held)) > 0"  # of what is held, whether it can be used
    more: str = ""  # further definitions


TABLE: dict[str, Package] = {
    "numpy": Package(
        "import numpy as np", "np.arange(1e5).reshape(100, -1)", "np.array_equal(a, b)"
    ),
    "pandas": Package(
        "import pandas as pd",
        "pd.DataFrame({'t': pd.date_range('2026', periods=3)})",
        "a.equals(b)",
    ),
    "scipy": Package(
        "from scipy import interpolate, sparse",
        "sparse.eye(50, format='csr')",
        "(a != b).nnz == 0",
        hold="interpolate.CubicSpline([0, 1, 2], [0, 1, 4])",
        uses="held(1.0) == 1",
    ),
    "pillow": Package(
        "from PIL import Image",
        "Image.new('RGB', (64, 48), 'red')",
        "a.tobytes() == b.tobytes() and a.size == b.size",
    ),
    "opencv-python-headless": Package(
        "import cv2\nimport numpy as np",
        "cv2.GaussianBlur(np.eye(64, dtype=np.uint8) * 255, (5, 5), 0)",
        "bool((a == b).all())",
        hold="cv2.createCLAHE(2.0)",
        uses="held.getClipLimit() == 2.0",
    ),
    "pydantic": Package(
        "from pydantic import BaseModel, Field",
        "Reading(value=21.5, tags={'room': 'k1'})",
        more="""
class Reading(BaseModel):
    value: float = Field(ge=0)
    tags: dict[str, str] = {}
""",
    ),
    "attrs": Package(
        "import attrs",
        "Reading(21.5)",
        more="""
@attrs.frozen
class Reading:
    value: float
    tags: list[str] = attrs.Factory(list)
""",
    ),
    "msgspec": Package(
        "import msgspec",
        "Reading(21.5)",
        hold="msgspec.json.Decoder(Reading)",
        uses="held.decode(b'{\"value\": 1}').value == 1",
        more="""
class Reading(msgspec.Struct):
    value: float
""",
    ),
    "sqlalchemy": Package(
        "import sqlalchemy as sa\nfrom sqlalchemy import orm",
        "User(id=1, name='ann')",
        "(a.id, a.name) == (b.id, b.name)",
        hold="sa.create_engine('sqlite://')",
        uses="orm.Session(held).execute(sa.select(sa.literal(7))).scalar_one() == 7",
        more="""
class Base(orm.DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "user"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
""",
    ),
    "httpx": Package(
        "import httpx",
        "httpx.URL('http://localhost/a?b=1')",
        hold="httpx.Client()",
        uses="held.build_request('GET', 'http://localhost').method == 'GET'",
    ),
    "requests": Package(
        "import requests",
        "requests.Request('GET', 'http://localhost', params={'a': 1}).prepare()",
        "a.url == b.url and a.headers == b.headers",
        hold="requests.Session()",
        uses="held.headers['User-Agent'] != ''",
    ),
    "aiohttp": Package(
        "import aiohttp\nimport yarl",
        "yarl.URL('http://localhost/a')",
        hold="aiohttp.ClientTimeout(total=3)",
        uses="held.total == 3",
    ),
    "scikit-learn": Package(
        "import numpy as np\nfrom sklearn.linear_model import LinearRegression",
        "LinearRegression().fit(np.array([[0], [1], [2]]), [0, 2, 4])",
        "abs(a.predict([[3]])[0] - b.predict([[3]])[0]) < 1e-9",
    ),
    "matplotlib": Package(
        "import matplotlib\nmatplotlib.use('Agg')\nfrom matplotlib.figure import Figure",
        "plotted()",
        "len(a.axes) == len(b.axes) == 1",
        more="""
def plotted():
    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    return figure
""",
    ),
    "networkx": Package("import networkx as nx", "nx.path_graph(5)", "nx.utils.graphs_equal(a, b)"),
    "sympy": Package("import sympy", "sympy.integrate(sympy.Symbol('x') ** 2)"),
    "shapely": Package(
        "from shapely.geometry import Point", "Point(1, 2).buffer(1)", "a.equals(b)"
    ),
    "polars": Package("import polars as pl", "pl.DataFrame({'a': [1, 2]})", "a.equals(b)"),
    "pyarrow": Package("import pyarrow as pa", "pa.table({'a': [1, 2]})", "a.equals(b)"),
    "xarray": Package(
        "import xarray as xr", "xr.DataArray([[1, 2]], dims=('x', 'y'))", "a.equals(b)"
    ),
    "lxml": Package(
        "from lxml import etree",
        "etree.fromstring('<a><b/></a>')",
        "etree.tostring(a) == etree.tostring(b)",
    ),
    "beautifulsoup4": Package(
        "from bs4 import BeautifulSoup", "BeautifulSoup('<p>hi</p>', 'html.parser')"
    ),
    "pyyaml": Package("import yaml", "yaml.safe_load('a: [1, 2]')"),
    "jinja2": Package(
        "import jinja2",
        "jinja2.Template('hi {{ who }}')",
        "a.render(who='x') == b.render(who='x')",
    ),
    "cryptography": Package(
        "from cryptography.hazmat.primitives.asymmetric import ed25519",
        "ed25519.Ed25519PrivateKey.from_private_bytes(b'k' * 32)",
        "a.private_bytes_raw() == b.private_bytes_raw()",
    ),
    "psutil": Package(
        "import psutil", "psutil.virtual_memory()", "type(a) is type(b)", hold="psutil.Process()"
    ),
    "redis": Package(
        "import redis", "redis.Redis(port=1)", "a.connection_pool == b.connection_pool"
    ),
    "paho-mqtt": Package(
        "import paho.mqtt.client as mqtt",
        "mqtt.MQTTMessage(topic=b'a')",
        "a.topic == b.topic",
        hold="mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)",
    ),
    "pyserial": Package("import serial", "serial.Serial(port=None, baudrate=9600).get_settings()"),
    "numba": Package(
        "import numba",
        "doubled",
        "a(2) == b(2) == 4",
        more="""
@numba.njit
def doubled(x):
    return 2 * x
""",
    ),
    "regex": Package("import regex", "regex.compile(r'\\p{L}+')", "a.pattern == b.pattern"),
    "pendulum": Package("import pendulum", "pendulum.datetime(2026, 1, 1, tz='Europe/Zurich')"),
    "rich": Package("from rich.text import Text", "Text('hi', style='bold')"),
    "protobuf": Package(
        "from google.protobuf import struct_pb2", "struct_pb2.Value(string_value='hi')"
    ),
}
"""By the name at PyPI."""

EXPECTED: dict[str, str] = {
    "jinja2": "sent",
    "lxml": "sent",
    "cryptography": "sent",
    "redis": "sent",
    "paho-mqtt": "sent",
}
"""What can't travel, by the first step that says so: not by zactor either, which tells it."""

CI = ("numpy", "pydantic", "attrs", "pillow", "sqlalchemy")
"""Those that a test tries."""

STEPS = ("held", "sent", "returned", "sent back")

_ACTOR = """
from zactor import Actor, action


class Holder(Actor):
    def __init__(self) -> None:
        self.held = hold()

    @action
    def uses(self):
        held = self.held
        return bool({uses})

    @action
    def give(self):
        return make()

    @action
    def take(self, got):
        return bool(same(got, make()))

    @action
    async def send_to(self, other):
        return await self.ref(other).take(make())
"""


def source(package: Package) -> str:
    """Return the file of an actor that uses it."""
    functions = (
        f"def make():\n    return {package.make}\n\n\n"
        f"def hold():\n    return {package.hold or package.make}\n\n\n"
        f"def same(a, b):\n    return {package.same}\n"
    )
    parts = (package.imports, package.more, functions, _ACTOR.format(uses=package.uses))
    return "\n\n".join(part for part in parts if part)


def try_package(m: BlockingMaster, folder: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield each step and what was said where it failed, "" where it didn't."""
    stem = "with_" + name.replace("-", "_")
    file = folder / f"{stem}.py"
    file.write_text(source(TABLE[name]))
    sys.path.insert(0, str(folder))
    here: Any = importlib.import_module(stem)
    sys.path.remove(str(folder))
    actors = (f"{stem}-1", f"{stem}-2")

    def deploy_and_use() -> bool:
        m.declare_factory(stem, file)
        for number, actor in enumerate(actors, 1):
            m.deploy_actor(stem, actor, f"n{number}")
        return bool(m.ask(actors[0], "uses"))

    steps = (
        deploy_and_use,
        lambda: m.ask(actors[0], "send_to", actors[1]),
        lambda: here.same(m.ask(actors[0], "give"), here.make()),
        lambda: m.ask(actors[0], "take", here.make()),
    )
    for step, do in zip(STEPS, steps, strict=True):
        try:
            said = "" if do() else "it arrives as something else"
        except ZactorError as error:
            said = str(error).splitlines()[0]
        yield step, said
        if said and step == "held":
            return


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those that are here."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of packages (all that are here)")
    wanted = parser.parse_args().names or list(TABLE)
    here, status = installed(wanted), 0
    print(f"| package | version | {' | '.join(STEPS)} | what is said |")
    print(f"|---|---|{'---|' * len(STEPS)}---|")
    with local(nodes=2) as cluster, tempfile.TemporaryDirectory() as folder:
        for name, version in here.items():
            said = dict(try_package(cluster.master, Path(folder), name))
            cells = ["yes" if said.get(step) == "" else "no" for step in STEPS]
            first = next((step for step in STEPS if said.get(step) != ""), "")
            status |= first != EXPECTED.get(name, "")
            words = said.get(first, "").replace("|", "\\|")
            print(f"| {name} | {version} | {' | '.join(cells)} | {words} |", flush=True)
    if missing := [name for name in wanted if name not in here]:
        print(f"\nNot installed here: {', '.join(missing)}.")
    return status


if __name__ == "__main__":
    sys.exit(main())
