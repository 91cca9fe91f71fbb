"""How often a prompt for something outside of the world gets its notice, and how often one for a prop does.

    python -m benchmarks.quality.unknown_words [--pack props]

Outside: `OUTSIDE`, none of which the pack's check was made from, with or without a colour. Inside: the first held-out prompts and all
paraphrases. Only the text stage runs. Writes results/unknown_words.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import numpy as np

from meshwright.export.props.world.captions import ARTICLE
from meshwright.export.props.world.palette import NAMES
from meshwright.runtime import Notice, Pipeline
from meshwright.runtime.recipes.sharp_it import encode_text

from ..harness.results import RESULTS, table, write_whole
from .page import shown
from .prompts import held_out, paraphrases

HELD_OUT = 200
FORMS = ("a {thing}", "a {color} {thing}", "{thing}, low poly", "a {color} {thing} for a game")
OUTSIDE = """
dragon horse cat dog elephant lion eagle shark dolphin spider butterfly snake frog penguin giraffe cow pig sheep chicken duck
banana pizza burger cake donut apple pear grape carrot potato cheese bread egg sandwich guitar piano violin drum trumpet flute
microphone headphones laptop phone camera television keyboard printer clock watch telescope bicycle motorcycle airplane helicopter
train tank tractor submarine bus skateboard shoe boot hat shirt dress glove sock crown ring necklace backpack umbrella glasses
human woman baby soldier wizard mermaid unicorn zombie skeleton skull mountain river bridge fence well windmill volcano cave island
book pencil scissors key coin map candle mirror pillow bed sofa toilet shield bow arrow axe spear cannon gun helmet flower cactus rose fern
""".split()


def outside() -> list[str]:
    """A prompt for each thing of OUTSIDE; forms and colours take turns."""
    return [ARTICLE.sub("an ", FORMS[i % len(FORMS)].format(thing=thing, color=NAMES[i % len(NAMES)])) for i, thing in enumerate(OUTSIDE)]


def noticed(pipe: Pipeline, prompt: str) -> bool:
    """Whether the text stage says that the pack does not know what the prompt asks for."""
    return any(isinstance(event, Notice) and "does not know: what comes out" in event.message for event in encode_text(pipe.models, prompt))


def share(found: Iterable[bool]) -> str:
    return shown(float(np.mean(list(found))), "share")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", default="props", help="name or folder of the pack")
    pipe = Pipeline.open(parser.parse_args(arguments).pack, threads=1)
    sets = {"things outside of the world": outside(), "held-out prompts": [p.text for p in held_out(HELD_OUT)],
            "paraphrases": [p.text for p in paraphrases()]}
    found = {name: [noticed(pipe, prompt) for prompt in prompts] for name, prompts in sets.items()}
    rows = [[name, str(len(each)), share(each)] for name, each in found.items()]
    missed = [prompt for prompt, told in zip(*(each["things outside of the world"] for each in (sets, found)), strict=True) if not told]
    false = [prompt for name in list(sets)[1:] for prompt, told in zip(sets[name], found[name], strict=True) if told]
    text = "\n\n".join([
        f"# Prompts for things that the pack {pipe.pack.manifest.name} {pipe.pack.manifest.version} does not know",
        f"Pack {pipe.pack.hash[:16]}; the protocol is in `benchmarks/quality/unknown_words.py`.",
        table(["prompts", "n", "get the notice"], rows),
        "Without a notice, of things outside: " + "; ".join(missed) + ".", "With one, of props: " + ("; ".join(false) or "none") + "."])
    write_whole(RESULTS / "unknown_words.md", text + "\n")
    print(text)


if __name__ == "__main__":
    main()
