"""Several operations at once: two masters, one request asked twice, many destructions together."""

from __future__ import annotations

import asyncio

import pytest
from operations_runs import (
    ASKED,
    OWNER,
    ask,
    check,
    dying,
    run,
)
from operations_world import WORK_S, World

from zactor.client.gateway import encode_call
from zactor.kernel.errors import AlreadyExists, NoSuchActor, ZactorError
from zactor.kernel.messages.operations import DeployActor, DestroyActor
from zactor.supervisor.kb import facts
from zactor.supervisor.operations.changes import Asked
from zactor.supervisor.operations.crash_points import points
from zactor.supervisor.operations.workflows import WORKFLOWS


def _beside(operation: str, at: str = "m2", asked: Asked = ASKED, told: list[object] | None = None):  # type: ignore[no-untyped-def]
    """`operation` is asked of another node too, at the same time."""

    async def story(world: World) -> None:
        try:
            outcome = await ask(world.nodes[at], operation, asked=asked)
        except ZactorError as error:
            outcome = error
        if told is not None:
            told.append(outcome)

    return story


@pytest.mark.parametrize("operation", ["deploy", "react", "remove", "destroy", "destroy_todo"])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_asked_twice_under_one_id_is_done_once(operation: str, seed: int) -> None:
    told: list[object] = []
    found = run(operation, seed, beside=_beside(operation, told=told))
    check(found, operation)
    assert [outcome for outcome in (found.outcome, *told) if isinstance(outcome, ZactorError)] == []
    assert [change.id for change in found.world.history].count(ASKED.id) == 1


@pytest.mark.parametrize("seed", range(8))
def test_of_two_masters_that_deploy_under_one_name_one_is_refused(seed: int) -> None:
    told: list[object] = []
    found = run("deploy", seed, beside=_beside("deploy", asked=Asked("other", "r2"), told=told))
    check(found, "deploy")
    refused = [one for one in (found.outcome, *told) if isinstance(one, AlreadyExists)]
    assert len(refused) == 1


@pytest.mark.parametrize("seed", range(8))
def test_two_masters_that_destroy_one_actor_with_todo_both_see_it_done(seed: int) -> None:
    told: list[object] = []
    other = Asked("other", "r2")
    found = run("destroy_todo", seed, beside=_beside("destroy_todo", asked=other, told=told))
    check(found, "destroy_todo")
    assert found.outcome == {}
    assert told == [{}] or isinstance(told[0], NoSuchActor), "or it came too late"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("point", [p for p in points(WORKFLOWS) if p.startswith("destroy_todo:")])
def test_an_actor_that_is_deployed_anew_under_the_name_is_not_touched(
    point: str, seed: int
) -> None:
    """The clause is about a deployment: whoever goes on with it late finds another one there."""

    async def again(world: World) -> None:
        kb = world.nodes["m2"].kb
        gone = lambda: True if facts.actor(kb.theory, "c1") is None else None  # noqa: E731
        if await kb.until(gone, 3.0):
            deploy = DeployActor("counter", "c1", "n3", encode_call((), {}))
            await world.nodes["m2"].changes.deploy(deploy, Asked("other", "r2"))

    found = run("destroy_todo", seed, dying(point, OWNER), beside=again)
    row = facts.actor(found.end, "c1")
    assert row is not None
    assert row.state == "running"
    assert facts.todos(found.end) == []
    stops = [detail for _, _, kind, _, detail in found.world.told if kind == "on_stop"]
    assert row.uid not in stops
    assert len(stops) == (row.deployment == "r2")


def test_many_destructions_take_no_longer_than_one() -> None:
    """The actors finish their work at the same time, and nobody waits for another."""

    async def others(world: World) -> None:
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(("g1", "g2", "g3")):
                destroy = DestroyActor(name, True, -1.0)
                asked = Asked("other", f"x{number}")
                group.create_task(world.nodes["m2"].changes.destroy(destroy, asked))

    found = run("destroy_todo", beside=others)
    assert facts.actors(found.end) == []
    ended = [at for at, _, kind, _, _ in found.world.told if kind == "on_stop"]
    assert len(ended) == 4
    assert max(ended) - min(ended) < WORK_S / 2
