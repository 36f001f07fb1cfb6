"""`python -m zactor.supervisor`: a node process, started by another program."""

import sys

from zactor.supervisor.process import main

sys.exit(main())
