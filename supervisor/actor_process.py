"""`python -m zactor.supervisor.actor_process`: the process of one actor, started by its node."""

import os
import sys

from zactor.kernel.runtime.process_main import main
from zactor.supervisor.observe.lasting_output import lasting_output
from zactor.supervisor.observe.log_format import configure_logs
from zactor.supervisor.observe.user_logs import take_user_logs

if __name__ == "__main__":
    with lasting_output():
        configure_logs(os.environ.get("ZACTOR_LOGS") != "text")
        take_user_logs()
        main(sys.argv[1:])
