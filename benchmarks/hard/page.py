"""The results as a page."""

import platform
from collections.abc import Mapping
from typing import Any

HEAD = """# Forced tests

`python -m benchmarks.hard --minutes M` damages every file that is read, kills what writes, fills the disk, turns the clock and runs for
long, each kind in processes of its own, seeded: the same number is the same case. A *foreign exception* is anything but the errors of
`engines/errors.py`; a *crash* ends the process; a *hang* takes longer than the kind's limit; *lost* is a file that is lost, half-written
or mixed with an older version, a process that lives on, or memory that grows.

| what | cases | foreign exceptions | crashes | hangs | lost | slowest | most memory |
|---|--:|--:|--:|--:|--:|--:|--:|
"""


def page(results: Mapping[str, Any], said: Mapping[str, str]) -> str:
    """hard.md. results : as in hard.json"""
    lines = [HEAD.rstrip("\n")]
    tallies = {name: tally for name, tally in results["kinds"].items() if tally["cases"]}
    for name, tally in tallies.items():
        lines.append(f"| {said[name]} | {tally['cases']:,} | {tally['foreign']} | {tally['crashes']} | {tally['hangs']} | {tally['lost']} "
                     f"| {tally['slowest_seconds']:.2f} s | {tally['largest_mib']:,.0f} MiB |")
    lines += ["", f"Seed {results['seed']}, {results['minutes']:.1f} minutes in all, Python {platform.python_version()}, "
                  f"{platform.system()} {platform.machine()}, commit {results['commit']}.", "", "What came of them:", ""]
    lines += [f"- {name}: " + (", ".join(f"{count:,} {outcome}" for outcome, count in tally["outcomes"].items()) or "nothing good")
              for name, tally in tallies.items()]
    failures = [f"- {name} {number}: {what}" for name, tally in tallies.items() for number, what in tally["failures"]]
    if failures:
        lines += ["", "What went wrong (number of the case, and what happened; `--only KIND --first NUMBER --count 1` runs it again):", "",
                  *failures]
    return "\n".join(lines) + "\n"
