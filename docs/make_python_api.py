"""Writes docs/python_api.md from the docstrings of the public names: `python docs/make_python_api.py`.

griffe reads the sources, so nothing is imported but the list of public names.
"""

from __future__ import annotations

import re
from pathlib import Path

import griffe

from meshwright import runtime

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "python_api.md"
INTRODUCTION = """# Python API

Everything here is imported from `meshwright.runtime`. The guide is [python.md](python.md). This page is made from the docstrings
by `python docs/make_python_api.py`; edit those, not the page.
"""
GROUPS = {
    "Pipelines": ("Pipeline", "Request", "Generation", "Stages", "Cutout"),
    "Events": ("StageStarted", "Step", "StageDone", "Notice", "EngineBuild", "CoarseMesh", "CoarseViews", "Views", "Surface", "Result"),
    "Meshes and pictures": ("Mesh", "MeshFile", "read_mesh", "Picture", "read_picture"),
    "Assets": ("AssetOptions", "Asset", "finish", "lint", "Verdict"),
    "Packs": ("Pack", "verify_pack", "Check"),
}
WIDTH = 100  # of a signature on one line
# "A stage begins. stage : one of ..." and "seconds : wall time; loading : that part of it" go on with a further item.
FURTHER = re.compile(r"(?:(?<=\.)|;) (\w+) : ")
ITEM = re.compile(r"((?:\.?[\w*]+)(?:, \.?[\w*]+)*) : (.*)")


def page() -> str:
    """The whole page."""
    loader = griffe.GriffeLoader(search_paths=[ROOT])
    sources = {name: loader.load(name) for name in ("engines", "runtime")}
    parts = [INTRODUCTION]
    for title, names in GROUPS.items():
        parts += [f"## {title}\n", *(["`Event` is any of these.\n"] if title == "Events" else [])]
        parts += [_described(name, _found(sources, name), 3) for name in names]
    errors = [name for name in runtime.__all__ if isinstance(kind := getattr(runtime, name), type) and issubclass(kind, Exception)]
    tree = sources["engines"]["errors"].docstring.value.partition("\n\n")[2]
    lines = "\n".join(f"- `{name}`: {_found(sources, name).docstring.value.splitlines()[0]}" for name in errors)
    parts += ["## Errors\n", f"```text\n{tree}\n```\n", f"In `meshwright.runtime`:\n\n{lines}\n"]
    return "\n".join(parts)


def _found(sources: dict[str, griffe.Object], name: str) -> griffe.Object:
    """The definition of a public name."""
    half, _, module = getattr(runtime, name).__module__.removeprefix("meshwright.").partition(".")
    return sources[half][f"{module}.{name}"]


def _described(name: str, found: griffe.Object, level: int) -> str:
    parts = [f"{'#' * level} {name}\n"]
    fields = [member for member in found.members.values() if member.is_attribute and "property" not in member.labels
              and "instance-attribute" in member.labels and member.is_public] if found.is_class else []
    if found.is_function:
        parts.append(f"```text\n{_signature(name, found)}\n```\n")
    elif "dataclass" in found.labels and fields:
        rows = [f"    {f.name}: {f.annotation}{_default(f)}," for f in fields]
        parts.append("```text\n" + "\n".join([f"{name}(", *rows, ")"]) + "\n```\n")
    parts.append(_markdown(found.docstring.value if found.docstring else ""))
    if found.is_class:
        for member in found.members.values():
            if member.is_public and not member.name.startswith("_") and member.docstring and member not in fields:
                parts.append(_member(name, member))
    return "\n".join(parts)


def _default(attribute: griffe.Attribute) -> str:
    """ = the default of a dataclass' field, where it has one."""
    value = "" if attribute.value is None else str(attribute.value)
    if value.startswith("field("):
        given = re.search(r"default(_factory)?=(\w+|\(\))", value)
        value = "" if given is None else given[2] + ("()" if given[1] else "")
    return value and f" = {value}"


def _member(owner: str, member: griffe.Object) -> str:
    text = _markdown(member.docstring.value)
    if member.is_attribute:
        return f"**`{owner}.{member.name}`** `-> {member.annotation}`\n\n{text}"
    return f"**`{owner}.{member.name}`**\n\n```text\n{_signature(member.name, member)}\n```\n\n{text}"


def _signature(name: str, function: griffe.Function) -> str:
    kinds = griffe.ParameterKind
    written = []
    for each in function.parameters:
        if each.name in ("self", "cls"):
            continue
        if each.kind is kinds.keyword_only and "*" not in written:
            written.append("*")
        default = "" if each.default is None or each.kind is kinds.var_keyword else f" = {each.default}"
        written.append(f"{'**' if each.kind is kinds.var_keyword else ''}{each.name}: {each.annotation}{default}")
    line = f"{name}({', '.join(written)}) -> {function.returns}"
    return line if len(line) <= WIDTH else "\n".join([f"{name}(", *(f"    {each}," for each in written), f") -> {function.returns}"])


def _markdown(docstring: str) -> str:
    """A docstring as Markdown: each "name : what it is" is an item of a list, with the lines that go on below it."""
    out: list[str] = []
    in_list = False
    for line in FURTHER.sub(r"\n\1 : ", docstring).splitlines():
        item = ITEM.fullmatch(line.strip()) if not line.startswith("    ") else None
        goes_on = in_list and line.startswith("    ")
        if item:
            names = ", ".join(f"`{name}`" for name in item[1].split(", "))
            out += [*([] if in_list or not out or out[-1] == "" else [""]), f"- {names}: {item[2]}"]
        elif goes_on:
            out.append(f"  {line.strip()}")
        else:
            apart = line.startswith("Errors:") and out and out[-1]
            out += ["", line] if (in_list or apart) and line else [line.strip()]
        in_list = bool(item) or goes_on
    return "\n".join(out).strip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
