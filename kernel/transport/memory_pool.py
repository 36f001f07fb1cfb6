"""The memory pool: the slots of one node, which it lends to its peers of the same machine.

See shared_memory.py. A slot is filled again only after whoever had it said so, for that lending;
and it is closed by who fills it, if its holder goes meanwhile: else the number of its descriptor
would be another file's under who writes.

Source: memfd_create(2) and its seals; nobody can cut a sealed slot short under who reads it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import threading
import time
from collections.abc import Sequence

from zactor.kernel import forks, limits
from zactor.kernel.wire.bulky import Buffer
from zactor.kernel.wire.item_size import bytes_of

NAME = "zactor-slot"
HEAD_BYTES = mmap.ALLOCATIONGRANULARITY  # of a slot: its key, and the proof; what is lent follows
KEY_BYTES = 16
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_ALIGNED = 64  # where a buffer begins


class Slot:
    """One file in memory."""

    __slots__ = ("capacity", "fd", "free_since", "holder", "is_filled", "key", "lending")

    def __init__(self, capacity: int) -> None:
        """Raises OSError: there is no memory, or no descriptor."""
        self.capacity = capacity
        self.key = secrets.token_bytes(KEY_BYTES)
        self.holder: object = None  # whose it is; None: nobody's
        self.lending = 0  # how often it was lent
        self.is_filled = True  # False: a thread is about it
        self.free_since = 0.0  # time.monotonic()
        self.fd = os.memfd_create(NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, HEAD_BYTES + capacity)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, SEALS)
            os.pwrite(self.fd, self.key, 0)
        except OSError:
            os.close(self.fd)
            raise
        forks.keep_private(self.fd)

    def fill(self, buffers: Sequence[Buffer]) -> None:
        """Copy them in, one behind the other. Other threads run meanwhile."""
        at = HEAD_BYTES
        for buffer in buffers:
            with memoryview(buffer) as given, given.cast("B") as view:
                done = 0
                while done < len(view):
                    done += os.pwrite(self.fd, view[done:], at + done)
            at = next_place(at + done)

    def close(self) -> None:
        forks.shared_again(self.fd)
        os.close(self.fd)


def next_place(at: int) -> int:
    return -(-at // _ALIGNED) * _ALIGNED


def room_of(sizes: Sequence[int]) -> int:
    return sum(map(next_place, sizes))


class MemoryPool:
    """The slots of one node, for all its peers. Threads: all by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[int, Slot] = {}  # by descriptor
        self._bytes = 0

    def lend(self, holder: object, buffers: Sequence[Buffer]) -> tuple[Slot, int] | None:
        """Return a slot with a copy of the buffers, and the number of this lending.

        None where there is no room: within SHARED_BYTES_MAX and SHARED_SLOTS_MAX, or at all.
        """
        slot = self._take(holder, room_of([bytes_of(buffer) for buffer in buffers]))
        if slot is None:
            return None
        number, is_whole = slot.lending, False
        try:
            slot.fill(buffers)
            is_whole = True
        except OSError:  # there is no memory
            pass
        finally:
            is_whole = self._filled(slot) and is_whole
            if not is_whole:
                self.returned(holder, slot.fd, number)
        return (slot, number) if is_whole else None

    def _filled(self, slot: Slot) -> bool:
        """The thread that filled it is done; False: its holder has gone meanwhile."""
        with self._lock:
            slot.is_filled = True
            is_here = self._slots.get(slot.fd) is slot
            if not is_here:
                slot.close()
            return is_here

    def _take(self, holder: object, size: int) -> Slot | None:
        capacity = max(limits.SHARED_BYTES_MIN, 1 << (size - 1).bit_length())
        if capacity > limits.SHARED_BYTES_MAX:
            return None
        with self._lock:
            free = [slot for slot in self._slots.values() if slot.holder is None]
            slot = next((slot for slot in free if slot.capacity == capacity), None)
            while slot is None and not self._has_room(capacity):
                if not free:
                    return None
                self._close(free.pop())  # of another size
            try:
                slot = slot or Slot(capacity)
            except OSError:
                return None
            if slot.fd not in self._slots:
                self._slots[slot.fd] = slot
                self._bytes += capacity
            slot.holder = holder
            slot.lending += 1
            slot.is_filled = False
            return slot

    def _has_room(self, capacity: int) -> bool:
        is_few = len(self._slots) < limits.SHARED_SLOTS_MAX
        return is_few and self._bytes + capacity <= limits.SHARED_BYTES_MAX

    def returned(self, holder: object, fd: int, lending: int, again: bool = True) -> bool:
        """Nothing uses that lending any more; False: it isn't the holder's.

        Args: again: whether the slot may be filled anew.
        """
        with self._lock:
            slot = self._slots.get(fd)
            if slot is None or slot.holder is not holder or slot.lending != lending:
                return False
            if not slot.is_filled:  # nobody has been told of it yet
                return False
            slot.holder = None
            slot.free_since = time.monotonic()
            if not again:
                self._close(slot)
            return True

    def forget(self, holder: object) -> None:
        """It is gone: what it has of ours it may read for as long as it likes."""
        with self._lock:
            for slot in [slot for slot in self._slots.values() if slot.holder is holder]:
                self._close(slot)

    def sweep(self) -> bool:
        """Close what nobody has used for SHARED_IDLE_S; return whether some is left."""
        with self._lock:
            since = time.monotonic() - limits.SHARED_IDLE_S
            for slot in list(self._slots.values()):
                if slot.holder is None and slot.free_since <= since:
                    self._close(slot)
            return bool(self._slots)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            for slot in list(self._slots.values()):
                self._close(slot)

    def _close(self, slot: Slot) -> None:
        del self._slots[slot.fd]
        self._bytes -= slot.capacity
        if slot.is_filled:  # else its number would be another file's under who writes
            slot.close()
