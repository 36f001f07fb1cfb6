"""Type description: `python -m` this module with MARK STORE BUNDLE TYPE tells what a class says.

Run by the Python of an environment, since users' code that needs it is loaded nowhere else. Prints
MARK and the answer behind whatever that code prints.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

from zactor.bundles import load
from zactor.bundles.store import BundleStore
from zactor.kernel.actors.actor import options_of
from zactor.kernel.actors.contract import Contract, contract_of
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.errors import BundleRefused, ZactorError, said, text_of


class TypeDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What a class says of itself."""

    options: ActorOptions = ActorOptions()
    contract: Contract = Contract()
    refusal: str = ""  # why it can't be loaded; "": it can


def read_description(answer: str) -> TypeDescription:
    """Return what was printed.

    Raises:
        BundleRefused: it is no answer.
    """
    try:
        return msgspec.json.decode(answer, type=TypeDescription)
    except msgspec.DecodeError as error:
        raise BundleRefused(f"its class can't be read: {error}") from None


def _describe(store: BundleStore, bundle: str, type_name: str) -> TypeDescription:
    try:
        load.attach(store)
        cls = load.load_class(store.open(bundle), type_name)
        return TypeDescription(options=options_of(cls), contract=contract_of(cls))
    except ZactorError as error:
        return TypeDescription(refusal=text_of(error))
    except Exception as error:  # users' code, and texts of their values and types
        return TypeDescription(refusal=said(error))


def main(arguments: list[str]) -> Any:
    """Print the answer and end, whatever the code has begun."""
    mark, folder, bundle, type_name = arguments
    answer = msgspec.json.encode(_describe(BundleStore(folder), bundle, type_name)).decode()
    sys.stdout.write(f"\n{mark}{answer}\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
