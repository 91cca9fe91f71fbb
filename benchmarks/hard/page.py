"""The results as a page."""

import platform
from collections.abc import Mapping
from typing import Any

from benchmarks.harness.results import table

HEAD = """# Forced tests

`python -m benchmarks.hard --minutes M` damages every file that is read, kills what writes, fills the disk, turns the clock and runs for
long, each kind in processes of its own, seeded: the same number is the same case. A *foreign exception* is anything but the errors of
`engines/errors.py`; a *crash* ends the process; a *hang* takes longer than the kind's limit; *lost* is a file that is lost, half-written
or mixed with an older version, a process that lives on, or memory that grows.
"""
HEADING = ("what", "cases", "foreign exceptions", "crashes", "hangs", "lost", "slowest", "most memory")


def page(results: Mapping[str, Any], said: Mapping[str, str]) -> str:
    """hard.md. results : as in hard.json"""
    tallies = {name: tally for name, tally in results["kinds"].items() if tally["cases"]}
    rows = [[said[name], f"{tally['cases']:,}", *(str(tally[what]) for what in ("foreign", "crashes", "hangs", "lost")),
             f"{tally['slowest_seconds']:.2f} s", f"{tally['largest_mib']:,.0f} MiB"] for name, tally in tallies.items()]
    lines = [HEAD, table(HEADING, rows)]
    lines += ["", f"Seed {results['seed']}, {results['minutes']:.1f} minutes in all, Python {platform.python_version()}, "
                  f"{platform.system()} {platform.machine()}, commit {results['commit']}.", "", "What came of them:", ""]
    lines += [f"- {name}: " + (", ".join(f"{count:,} {outcome}" for outcome, count in tally["outcomes"].items()) or "nothing good")
              for name, tally in tallies.items()]
    failures = [f"- {name} {number}: {what}" for name, tally in tallies.items() for number, what in tally["failures"]]
    if failures:
        lines += ["", "What went wrong (number of the case, and what happened; `--only KIND --first NUMBER --count 1` runs it again):", "",
                  *failures]
    return "\n".join(lines)
