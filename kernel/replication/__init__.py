"""The log that a majority of disks agrees on: machines without I/O."""
