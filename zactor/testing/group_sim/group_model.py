"""G11: what each group's members must be told, predicted from the deliveries alone.

A process's own joins and leaves are all delivered before it leaves a view (G4), so what a view
begins with is the union of what each of its members has sent so far.
"""

from __future__ import annotations

from zactor.testing.group_sim.history import (
    ORDERED,
    History,
    Line,
    ViewKey,
    ViewPeriod,
    split_process,
    view_key,
)

Member = tuple[tuple[str, int], str]  # node, session: compares in the order of memberships
Map = dict[str, set[Member]]  # group -> members


def _apply(groups: Map, process: str, line: Line) -> list[str]:
    """Do a join, leave or disconnect; return the groups that changed, in order."""
    member = (split_process(process), line["session"])
    if line["op"] == "join":
        changed = [name for name in line["groups"] if member not in groups.get(name, set())]
        for name in changed:
            groups.setdefault(name, set()).add(member)
        return changed
    among = line["groups"] if line["op"] == "leave" else sorted(groups)
    changed = [name for name in among if member in groups.get(name, set())]
    for name in changed:
        groups[name].discard(member)
    return changed


def _own_groups(history: History, process: str, until: ViewKey) -> Map:
    """What the sessions of `process` were in when it entered `until` (or ended before)."""
    groups: Map = {}
    for period in history.periods.get(process, []):
        if period.view >= until:
            break
        for line in period.sent:
            if line.get("op", "data") != "data":
                _apply(groups, process, line)
    return groups


class _Watcher:
    """Follows one process through its log."""

    def __init__(self, history: History, process: str, ids: dict[object, object]) -> None:
        self._history = history
        self._process = process
        self._node = split_process(process)
        self._ids = ids  # (group, id) -> members, over all processes
        self._groups: Map = {}
        self._due: dict[str, tuple[str, set[Member]]] = {}  # group -> cause, members
        self._signals: set[str] = set()  # groups whose transitional signal is due
        self._signalled: set[str] = set()
        self._is_transitional = False
        self._where: ViewKey = (0, "", 0)
        self.wrong: list[str] = []

    def _say(self, words: str) -> None:
        self.wrong.append(f"{self._process} in {self._where}: {words}")

    def _local(self, members: set[Member]) -> bool:
        return any(node == self._node for node, _ in members)

    def _settle(self) -> None:
        """Before the next thing happens everything that was due must have been told."""
        for name in sorted(self._due):
            self._say(f"nobody was told of {self._due[name]} in {name}")
        for name in sorted(self._signals):
            self._say(f"no transitional signal in {name}")
        self._due.clear()
        self._signals.clear()

    def watch(self, period: ViewPeriod) -> None:
        """Go through one period."""
        self._where = period.view
        for line in period.lines:
            kind = line["k"]
            if kind == "view":
                self._settle()
                self._enter(period)
            elif kind == "deliver":
                self._settle()
                self._deliver(period, line)
            elif kind == "trans":
                self._settle()
                self._is_transitional = True
                self._disturb(period, sorted(self._groups))
            elif kind == "gview":
                self._view(line)
            elif kind == "gtrans":
                if line["group"] not in self._signals:
                    self._say(f"needless transitional signal in {line['group']}")
                self._signals.discard(line["group"])

    def _enter(self, period: ViewPeriod) -> None:
        before, self._groups = self._groups, {}
        for member in period.members:
            own = _own_groups(self._history, member, period.view)
            for name, members in own.items():
                self._groups.setdefault(name, set()).update(members)
        for name, members in self._groups.items():
            if not self._local(members):
                continue
            if members != before.get(name, set()) or name in self._signalled:
                self._due[name] = ("network", members)
        self._signalled = set()
        self._is_transitional = False

    def _disturb(self, period: ViewPeriod, names: list[str]) -> None:
        together = {split_process(process) for process in period.transitional or ()}
        for name in names:
            members = self._groups[name]
            if name not in self._signalled and any(node not in together for node, _ in members):
                self._signalled.add(name)
                if self._local(members):
                    self._signals.add(name)

    def _deliver(self, period: ViewPeriod, line: Line) -> None:
        sent = self._history.sends.get(line["mid"])
        if sent is None or line["service"] not in ORDERED or "to" not in line:
            return  # a log without sessions has nothing to say here
        if line.get("op", "data") == "data":
            want = sorted(
                session
                for node, session in set().union(
                    *(self._groups.get(name, set()) for name in line["groups"])
                )
                if node == self._node
            )
            if line["discard"] and sent["p"] == self._process:
                want = [session for session in want if session != line["session"]]
            # Private groups reach sessions that the map doesn't know: no group, no prediction.
            private = any(name.startswith("#") for name in line["groups"])
            got = [name for name in line["to"] if name in want or not private]
            if got != want:
                self._say(f"{line['mid']} was given to {got}, not {want}")
            return
        for name in _apply(self._groups, sent["p"], line):
            if self._local(self._groups[name]):
                self._due[name] = (line["op"], set(self._groups[name]))
            if not self._groups[name]:
                self._signalled.discard(name)  # it is over: who joins begins it anew
            if name in self._signalled and line["op"] == "join" and sent["p"] == self._process:
                self._signals.add(name)  # for the one that joined: the others had theirs
            if self._is_transitional:
                self._disturb(period, [name])

    def _view(self, line: Line) -> None:
        name, members = line["group"], {(split_process(p), s) for p, s in line["members"]}
        if self._due.pop(name, None) != (line["cause"], members):
            self._say(f"told of {line['cause']} in {name}: {line['members']}")
        if line["members"] != sorted(line["members"], key=lambda m: (split_process(m[0]), m[1])):
            self._say(f"members of {name} out of order")
        key = (name, view_key(line["gid"][0]), line["gid"][1])
        if self._ids.setdefault(key, members) != members:
            self._say(f"{key} has two memberships")
        sets = [[(split_process(p), s) for p, s in part] for part in line["sets"]]
        parts = [member for part in sets for member in part]
        if line["cause"] == "network" and sorted(parts) != sorted(members):
            self._say(f"the sets of {name} are no partition: {line['sets']}")


def check_group_views(history: History) -> list[str]:
    """G11: joins, leaves, losses are told to every member at the same place of the order."""
    ids: dict[object, object] = {}
    wrong = []
    for process, periods in sorted(history.periods.items()):
        watcher = _Watcher(history, process, ids)
        for period in periods:
            watcher.watch(period)
        wrong += watcher.wrong
    return wrong
