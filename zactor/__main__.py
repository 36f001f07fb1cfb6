"""`python -m zactor` is `zactor`."""

from __future__ import annotations

from zactor.cli.main import main

if __name__ == "__main__":
    main()
