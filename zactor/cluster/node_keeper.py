"""Node keeper: nodes that die are started again, as often as an intensity allows."""

from __future__ import annotations

import time
from collections.abc import Callable

from zactor.cluster.processes import Processes
from zactor.supervisor.kb.policies import Policy
from zactor.supervisor.kb.restarts import Restarts, StartAgain


class NodeKeeper:
    """Looks after the nodes that were started here. One thread."""

    def __init__(self, started: Processes, tell: Callable[[str], None]) -> None:
        """`tell` hears of each death and what is done about it."""
        self._started = started
        self._tell = tell
        self._restarts = Restarts()
        self._policy = Policy()
        self._due: dict[str, float] = {}  # name -> when it is started again
        self._told = False  # one ended as it was told to
        self._over: set[str] = set()  # it ended as it was told to, or too often

    def look(self) -> bool:
        """Start again who is to be, and return whether any runs or is about to."""
        now = time.monotonic()
        running = set(self._started.names)
        for name in self._started.spawned:
            if name in running or name in self._over:
                continue
            if name not in self._due:
                self._answer(name, now)
            elif now >= self._due[name]:
                del self._due[name]
                self._started.spawn(name)
        return bool(self._started.names or self._due)

    def _answer(self, name: str, now: float) -> None:
        code = self._started.wait(name, 0.0)
        # It was told to stop, as `zactor down` tells all: who doesn't hear that is killed by it.
        if code == 0 or self._told:
            self._told = True
            self._over.add(name)
            return
        ended = f"{name} ended with {code}"
        verdict = self._restarts.judge(name, self._policy, now, ended, is_failure=True)
        if isinstance(verdict, StartAgain):
            self._due[name] = now + verdict.wait_s
            self._tell(f"{ended}: it is started again ({verdict.count} in a row)")
        else:
            self._over.add(name)
            log = self._started.output_file(name)
            self._tell(f"{ended}, more often than {self._policy.intensity}: see {log}")
