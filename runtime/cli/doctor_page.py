"""What `doctor.examine` found, as lines for people: aligned, and no wider than a terminal where the words allow it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ..backends.memory_needs import size_text

WIDTH, LABEL = 110, 16


def page(report: dict[str, Any]) -> str:
    """The whole report."""
    lines = [f"meshwright {report['meshwright']}, Python {report['python']}, {report['host']['system']}"]
    for title, part in (("Machine", _machine(report)), ("Backends", _backends(report)), ("Packs", _packs(report)),
                        ("Disk", _disk(report)), ("Notes", _listed(report["notes"])), ("Problems", _listed(report["problems"]))):
        if rows := list(part):
            lines += ["", title, *rows]
    return "\n".join([*lines, "", "Everything that is installed works." if report["ok"] else "Something is broken: see Problems."])


def gigabytes(count: int | None) -> str:
    """1.2 GB; megabytes where that says more."""
    if count is None:
        return "unknown"
    return f"{count / 1e6:.0f} MB" if count < 950e6 else f"{count / 1e9:.1f} GB"


def _line(label: str, text: str) -> str:
    """A label and its text, which goes on below itself where it is long."""
    first = f"  {label:<{LABEL}}" if len(label) < LABEL else f"  {label} "
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * (LABEL + 2), break_long_words=False,
                         break_on_hyphens=False)


def _told(facts: dict[str, Any], name: str, text: str | None = None) -> str:
    """A fact, or why it is not known."""
    if facts[name] is None:
        return f"unknown ({facts['why_not'].get(name, 'not asked')})"
    return str(facts[name]) if text is None else text


def _machine(report: dict[str, Any]) -> Iterator[str]:
    host, driver = report["host"], report["driver"]
    yield _line("processor", f"{_told(host, 'processor')}, {_told(host, 'cores')} cores")
    yield _line("memory", f"{_told(host, 'total_bytes', gigabytes(host['total_bytes']))}, of which "
                          f"{_told(host, 'available_bytes', gigabytes(host['available_bytes']))} available")
    for gpu in report["gpus"]:
        yield _line(f"GPU {gpu['index']}", f"{_told(gpu, 'name')}, compute capability {_told(gpu, 'compute_capability')}, "
                    f"{_told(gpu, 'total_bytes', gigabytes(gpu['total_bytes']))}, of which "
                    f"{_told(gpu, 'free_bytes', gigabytes(gpu['free_bytes']))} free")
    if not report["gpus"]:
        yield _line("GPU", f"none: {report['no_gpu']}")
    if report["gpus"] or driver["version"]:
        yield _line("driver", f"{_told(driver, 'version')}, runs CUDA up to {_told(driver, 'cuda')}")


def _backends(report: dict[str, Any]) -> Iterator[str]:
    for backend in report["backends"]:
        if not backend["installed"]:
            yield _line(backend["name"], f"not installed ({backend['gives']}): {backend['install']}")
            continue
        licence = f" ({backend['license']})" if backend["license"] else ""
        state = ("works" if not backend["why_not"] else backend["why_not"]) if backend["works"] else f"BROKEN: {backend['why_not']}"
        yield _line(backend["name"], f"{backend['version']}{licence}: {state}")
        for provider in backend["providers"]:
            yield _line("", f"{provider['name']}: {'works' if provider['works'] else provider['why_not']}")
        if backend["cuda_install"]:
            yield _line("", f"CUDAExecutionProvider: not in this build; for an NVIDIA card: {backend['cuda_install']}")


def _packs(report: dict[str, Any]) -> Iterator[str]:
    if not report["packs"]:
        yield "  none found"
    for row in report["packs"]:
        if row["error"]:
            yield _line(row["name"], f"BROKEN: {row['error']}")
            continue
        state = "every hash fits" if row["hashes_checked"] else f"hashes not checked, that is what meshwright verify {row['name']} does"
        yield _line(row["name"], f"{row['version']}, recipe {row['recipe']}, {gigabytes(row['bytes'])}, {state}, {row['folder']}")
        yield _line("  trust", row["trusted"] or f"NOT TRUSTED, and not run: meshwright packs trust {row['folder']} if you know its maker")
        yield _line("  licence", f"{row['license']}, commercial use: {row['commercial_use']}")
        yield _line("  memory", _memory(row["memory"], report["host"]["available_bytes"]))
        yield _line("  on a GPU", f"about {gigabytes(row['gpu_memory']['everything'])} of its memory; with --vram "
                                  f"{size_text(row['gpu_memory']['least'])} at least")
        for (backend, provider, why), same in groupby(sorted(row["components"], key=_runs_on), key=_runs_on):
            names = [component["name"] for component in same]
            what = "every component" if len(names) == len(row["components"]) else ", ".join(names)
            yield _line("  backend", f"{', '.join(filter(None, (backend, provider))) or 'NONE'}: {what}; {why}")
        yield from _loops(row["components"])
        large = [f"{component['name']} {gigabytes(component['bytes'])} {component['precision']}"
                 for component in row["components"] if component["large"]]
        if large:
            yield _line("  large", ", ".join(large))


def _loops(components: list[dict[str, Any]]) -> Iterator[str]:
    """The loops of which a block was timed as one CUDA graph and step by step."""
    for component in components:
        for loop, found in (component["engine"] or {"loops": {}})["loops"].items():
            timed = ", ".join(f"{name} {found[key]:.1f} ms" for name, key in (("graph", "graph_ms"), ("plain", "plain_ms"))
                              if found[key] is not None)
            candidate = f"{found['steps']} steps a CUDA graph" if found["steps"] else "plain launches"
            reason = f"; {found['why_not']}" if found["why_not"] else ""
            yield _line("  loop", f"{component['name']}, {loop}: {candidate}{f' ({timed})' if timed else ''}{reason}")


def _runs_on(component: dict[str, Any]) -> tuple[str, str, str]:
    return component["backend"] or "", component["provider"] or "", component["why"]


def _memory(memory: dict[str, Any], available: int | None) -> str:
    """What each `--memory` takes; one figure where they are all the same."""
    candidates = {how: entry["bytes"] for how, entry in memory.items() if isinstance(entry, dict)}
    if len(set(candidates.values())) == 1:
        taken = f"about {gigabytes(candidates['normal'])}"
    else:
        taken = "about " + ", ".join(f"{gigabytes(count)} with --memory {how}" for how, count in candidates.items())
    if available is None:
        return f"{taken}; what is available is not known"
    if memory["advice"] is None:
        return f"{taken}; TOO LITTLE is available: {gigabytes(available)}"
    enough = "enough is available" if memory["advice"] == "normal" else f"--memory {memory['advice']} fits into what is available"
    reads = (f"; lowest reads up to {gigabytes(memory['largest_file'])} again in each step unless that fits too"
             if memory["advice"] == "lowest" and memory["largest_file"] else "")
    return f"{taken}; {enough}{reads}"


def _disk(report: dict[str, Any]) -> Iterator[str]:
    for row in report["disk"]:
        yield _line(row["what"], f"{_told_free(row)}, {row['folder']}")
    cache = report["cache"]
    if cache["why_not"]:
        yield _line("engine cache", f"unknown ({cache['why_not']})")
    else:
        yield _line("engine cache", f"{cache['count']} engines, {gigabytes(cache['bytes'])}, {cache['folder']}")


def _told_free(row: dict[str, Any]) -> str:
    return f"{gigabytes(row['free_bytes'])} free" if row["why_not"] is None else f"free space unknown ({row['why_not']})"


def _listed(texts: list[str]) -> Iterator[str]:
    for text in texts:
        yield textwrap.fill(text, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
