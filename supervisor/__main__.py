"""`python -m zactor.supervisor`: a node process, started by another program."""

import sys

from zactor.supervisor.main import main

sys.exit(main())
