"""Events and dead letters as people read them."""

from __future__ import annotations

import asyncio
import threading

from deadlines import join

from zactor.kernel import limits
from zactor.supervisor.observe.journal import Journal


def test_events_are_numbered_and_a_reader_sees_only_what_is_new() -> None:
    journal = Journal("n1")
    journal.record("node_up", name="n2")
    journal.record("node_gone", name="n2")
    assert [event["number"] for event in journal.events(0)] == [1, 2]
    assert [event["event"] for event in journal.events(1)] == ["node_gone"]


def test_the_numbers_of_a_node_grow_over_its_lives_too() -> None:
    before, after = Journal("n1", 3), Journal("n1", 4)
    for journal in (before, after):
        journal.record("node_up", name="n2")
    last = before.known(None)
    assert [event["event"] for event in after.events(after.known(last))] == ["node_up"]
    assert after.events(after.known(None)) == [], "whoever knows all of them"
    assert len(before.events(before.known(after.known(None)))) == 1, "its folder was lost"


def test_what_a_node_learns_while_it_joins_is_marked() -> None:
    journal = Journal("n1")
    journal.is_joining = lambda: True
    journal.record("node_up", name="n2")
    journal.is_joining = lambda: False
    journal.record("node_up", name="n3")
    assert [event.get("joining") for event in journal.events(0)] == [True, None]


def test_a_waiting_reader_is_woken_by_an_event_of_another_thread() -> None:
    async def story() -> list[str]:
        journal = Journal("n1")
        journal.attach(asyncio.get_running_loop())
        waiting = asyncio.create_task(journal.wait(0, 10.0))
        await asyncio.sleep(0)
        thread = threading.Thread(target=journal.record, args=("node_up",))
        thread.start()
        found = await waiting
        join(thread)
        return [event["event"] for event in found]

    assert asyncio.run(story()) == ["node_up"]


def test_a_reader_gets_an_empty_list_when_its_time_is_over() -> None:
    async def story() -> list[dict[str, object]]:
        journal = Journal("n1")
        journal.attach(asyncio.get_running_loop())
        return await journal.wait(0, 0.01)

    assert asyncio.run(story()) == []


def test_dead_letters_are_bounded_and_all_are_counted() -> None:
    journal = Journal("n1")
    for number in range(limits.DEAD_LETTERS_KEPT + 5):
        journal.keep_dead_letter(sender="a", target="b", action=f"inc{number}", reason="n2 is gone")
    kept = journal.dead_letters()
    assert len(kept) == limits.DEAD_LETTERS_KEPT
    assert kept[0].action == "inc5"
    assert journal.dead_count == limits.DEAD_LETTERS_KEPT + 5


def test_only_the_first_dead_letter_of_a_burst_is_worth_a_line() -> None:
    journal = Journal("n1")
    said = [
        journal.keep_dead_letter(sender="a", target="b", action="inc", reason="gone")
        for _ in range(100)
    ]
    assert said == [True] + [False] * 99
