"""An operator's word on disk (PROTOCOL.md, P13)."""

from __future__ import annotations

from pathlib import Path

from zactor.kernel.messages.knowledge import Primary
from zactor.kernel.replication import records
from zactor.kernel.replication.effects import Write
from zactor.supervisor.kb.store import Store


def test_who_is_forgotten_is_so_until_a_primary_is_formed(tmp_path: Path) -> None:
    words = (("n2", 4), ("n3", 7))
    formed = records.PutPrimary(Primary(8, ("n1",), "n1", "us"), True)
    for put, kept in (
        ((records.PutForgotten(words[:1]), records.PutForgotten(words)), words),
        ((records.PutFounding("us"),), words),
        ((formed,), ()),
    ):
        store = Store(tmp_path)
        store.write([Write(number=1, records=put, is_urgent=True)])
        store.close()
        again = Store(tmp_path)
        assert again.load().forgotten == kept
        again.close()
