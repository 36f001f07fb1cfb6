"""With real disks a crash loses what was not synced, and nothing that a majority acknowledged."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from lab_world import LabWorld

from zactor.kernel.errors import Refused
from zactor.lab.topology import counted, with_real_disks

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]

HOSTS = ("n1", "n2", "n3")
WRITE = "f = open('/tmp/{name}', 'w'); f.write('x'); f.flush(); {sync}"
READ = "import pathlib as p; f = p.Path('/tmp/{name}'); print(f.read_text() if f.exists() else '')"


@pytest.fixture(scope="module")
def lab_of_three(
    lab_is_possible: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabWorld]:
    if os.geteuid():
        pytest.skip("real disks want root")
    world = LabWorld(tmp_path_factory.mktemp("power") / "home")
    try:
        world.lab.begin(with_real_disks(counted(3)))
    except Refused as error:
        if "mount" in str(error) or "mkfs" in str(error):
            pytest.skip(str(error))
        raise
    try:
        world.lab.wait_formed()
        yield world
    finally:
        world.lab.close()


def test_a_power_cut_at_all_hosts_at_once_loses_only_what_nobody_synced(world: LabWorld) -> None:
    """K7: what was acknowledged is there, whatever was in memory."""
    for host in HOSTS:
        world.python(host, WRITE.format(name="synced", sync="import os; os.fsync(f)"))
        world.python(host, WRITE.format(name="unsynced", sync="pass"))
    actor = "open('/tmp/a.py', 'w').write('from zactor import Actor\\nclass A(Actor): pass\\n')"
    world.python("n1", actor)
    done = world.run("n1", "zactor", "declare-factory", "a", "/tmp/a.py")
    assert done.returncode == 0, done.stderr
    for host in HOSTS:
        world.lab.obey("crash", host)
    for host in HOSTS:
        world.lab.obey("start", host)
    world.lab.wait_formed()
    for host in HOSTS:
        assert world.python(host, READ.format(name="synced")) == "x"
        assert world.python(host, READ.format(name="unsynced")) == "", "its name at most"
        shown = world.run(host, "zactor", "factories").stdout
        assert shown.splitlines()[1].split()[0] == "a"
