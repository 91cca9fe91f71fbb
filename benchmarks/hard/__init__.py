"""Forced tests of the whole program: damaged and lying files by the thousand, kills, full disks, clocks that jump, long runs.

`python -m benchmarks.hard --minutes 30`; `tests/hard` runs a few hundred of the same cases.
"""
