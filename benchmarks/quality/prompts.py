"""What the benchmarks ask for: captions of held-out props, and paraphrases that no training caption has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from meshwright.export.props.world.captions import FRAMES, NOUNS, PART_WORDS, PLAIN
from meshwright.export.props.world.families import FAMILIES, SECOND_PART
from meshwright.export.props.world.world import make_prop

FIRST_SEED = 20_000_000
PARAPHRASES = Path(__file__).parent / "paraphrases.json"


@dataclass(frozen=True)
class Prompt:
    """One prompt and what a right answer is.

    families : those that count as right (a seat may be a chair or a stool)
    first, second : palette names of the main and the second part's colour, None where the prompt names none
    """

    text: str
    families: tuple[str, ...]
    first: str | None
    second: str | None


def held_out(count: int) -> list[Prompt]:
    """Training-like captions of `count` props that training never saw; the families take turns."""
    families = list(FAMILIES)
    return [_caption(FIRST_SEED + i, families[i % len(families)]) for i in range(count)]


def paraphrases() -> list[Prompt]:
    """The hand-written prompts of `paraphrases.json`."""
    entries = json.loads(PARAPHRASES.read_text("utf-8"))
    return [Prompt(e["prompt"], tuple(e["families"]), e["first"], e["second"]) for e in entries]


def names_colors(family: str, caption: str) -> bool:
    """Whether a caption of the world says anything of colours."""
    plain = [template.format(noun=noun) for template in PLAIN for noun in NOUNS[family]]
    return _articles(caption) not in {_articles(frame.format(text)) for text in plain for frame in FRAMES}


def _articles(text: str) -> str:
    """The text with "a" for every "an", so that it does not matter when which is written."""
    return text.replace("an ", "a ")


def names_part(family: str, caption: str) -> bool:
    """Whether a caption of the world speaks of the second part, beyond the name ("a beaker with a handle")."""
    part = SECOND_PART[family]
    for noun in sorted(NOUNS[family], key=len, reverse=True):
        caption = caption.replace(noun, "")
    return any(f" {word}" in caption for word in PART_WORDS.get(part, (part,)))


def _caption(seed: int, family: str) -> Prompt:
    prop = make_prop(seed, family)
    text = prop.captions(1)[0]
    named = names_colors(family, text)
    second = prop.second if named and names_part(family, text) else None
    return Prompt(text, (family,), prop.first if named else None, second)
