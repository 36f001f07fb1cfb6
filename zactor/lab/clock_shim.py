"""The wall clock of a host of a lab: each host has this file as its sitecustomize.

`time.time` and `time.time_ns` of every Python there go wrong by what the file beside it says, also
while they run. The kernel has no wall clock for each namespace; its monotonic clock stays as it is,
and so do other programs and `datetime.now`.
"""

import mmap
import os
import struct
import time

_SECONDS = struct.Struct("d")
CLOCK_FILE = "clock"  # beside this file: by how many s the wall clock goes wrong


def _shift() -> None:
    file = os.path.join(os.path.dirname(__file__), CLOCK_FILE)
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return
    held = mmap.mmap(descriptor, _SECONDS.size, prot=mmap.PROT_READ)
    os.close(descriptor)
    seconds, nanoseconds, wrong_by = time.time, time.time_ns, _SECONDS.unpack_from

    def shifted_time() -> float:
        return seconds() + float(wrong_by(held)[0])

    def shifted_time_ns() -> int:
        return nanoseconds() + int(wrong_by(held)[0] * 1e9)

    time.time = shifted_time
    time.time_ns = shifted_time_ns


_shift()
