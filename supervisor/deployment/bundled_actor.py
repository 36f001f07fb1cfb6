"""Bundled actor: what makes an actor of a bundle in another process; it travels as a pickle."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zactor.bundles import load
from zactor.bundles.store import BundleStore
from zactor.bundles.stored_arguments import stored_payload
from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.contract import check_constructor, contract_of
from zactor.kernel.wire.payload import Policy
from zactor.supervisor.deployment.spawned_child import be_main
from zactor.supervisor.operations import constructor_arguments


@dataclass(frozen=True, slots=True)
class BundledActor:
    """Call it to make the actor."""

    folder: Path  # of the node's store of bundles
    bundle: str
    type: str
    arguments: str
    policy: Policy

    def recipe(self) -> bytes:
        """Return it as a pickle."""
        return pickle.dumps(self)

    def __call__(self) -> Actor:
        """Load its class and make the actor.

        Raises:
            ZactorError: the class can't be loaded; or whatever its code raises.
        """
        store = BundleStore(self.folder)
        load.attach(store)
        be_main(self.folder)
        cls = load.load_class(store.open(self.bundle), self.type)

        def stored(identity: str) -> bytes:
            return stored_payload(store.open(identity))

        keywords = constructor_arguments.to_keywords(self.arguments, self.policy, stored)
        return make_actor(cls, self.type, keywords)


def make_actor(cls: type[Actor], type_name: str, keywords: Mapping[str, Any]) -> Actor:
    """Return a new actor. Threads: its own.

    Raises:
        UnfitArguments: its constructor doesn't take these; says which it does.
    """
    check_constructor(contract_of(cls), type_name, keywords)
    return cls(**keywords)
