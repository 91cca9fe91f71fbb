"""The packs of the full-size benchmark: how the command makes them, and the same plan in Python for its PyTorch side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .sizes import Sizes

PACKS = ("sharp-it", "instantmesh", "sharp-it-nerf", "instantmesh-nerf")
PROMPT = "a red chair with white legs"
STEPS = 2
# Small packs take a small grid; the published sizes are the commands' defaults.
SMALL_GRID, SMALL_COARSE = 32, 24


@dataclass(frozen=True)
class Job:
    """One pack. files : folder that `published.write` filled; folder : of the packs."""

    pack: str
    precision: str
    sizes: Sizes
    files: Path
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.pack}-{self.precision}"

    @property
    def target(self) -> Path:
        return self.folder / self.name

    @property
    def recipe(self) -> str:
        return self.pack.removesuffix("-nerf")

    @property
    def variant(self) -> str:
        return "nerf" if self.pack.endswith("-nerf") else "mesh"

    @property
    def published(self) -> list[str]:
        """What `published.write` must have written."""
        inputs = ["shap-e", "Sharp-It"] if self.recipe == "sharp-it" else ["diffusion_pytorch_model.bin"]
        return [*inputs, "zero123plus-v1.2", self.reconstructor]

    @property
    def reconstructor(self) -> str:
        return f"instant_{self.variant}_large.ckpt"

    def export_arguments(self) -> list[str]:
        """Behind `meshwright export`."""
        files = self.files
        inputs = (["--refiner", files / "Sharp-It", "--shap-e", files / "shap-e"] if self.recipe == "sharp-it"
                  else ["--unet", files / "diffusion_pytorch_model.bin"])
        inputs += ["--zero123plus", files / "zero123plus-v1.2", f"--instant{self.variant}", files / self.reconstructor]
        sizes = [text for name, value in self._choices().items() for text in (f"--{name.replace('_', '-')}", value)]
        return [str(text) for text in (self.recipe, *inputs, "-o", self.target, "--precision", self.precision, *sizes)]

    def generate_arguments(self, picture: Path, output: Path, quality: str | None = None) -> list[str]:
        """Behind `meshwright generate`, with two steps for each loop, or as many as a quality stands for."""
        asked: list[str | int | Path] = [PROMPT] if self.recipe == "sharp-it" else ["--image", picture]
        if quality is not None:
            asked += ["--quality", quality]
        else:
            asked += [*(["--prior-steps", STEPS] if self.recipe == "sharp-it" else []), "--steps", STEPS]
        return [str(text) for text in (*asked, "--pack", self.target, "-o", output)]

    def plan(self) -> Any:
        """The plan that the command carries out."""
        from meshwright.export.published.choices import InstantMeshChoices, SharpItChoices
        from meshwright.export.published.instantmesh import InstantMeshPaths, instantmesh
        from meshwright.export.published.sharp_it import SharpItPaths, sharp_it
        from meshwright.export.spec import FP16, FP16_STORED, FP32

        precision = {"fp32": FP32, "fp16": FP16_STORED, "fp16-compute": FP16}[self.precision]
        files, shared = self.files, {"reconstructor": self.files / self.reconstructor, "variant": self.variant,
                                     "zero123plus": self.files / "zero123plus-v1.2"}
        if self.recipe == "sharp-it":
            paths = SharpItPaths(refiner=files / "Sharp-It", shap_e=files / "shap-e", **shared)
            return sharp_it(paths, SharpItChoices(**self._choices()), precision)
        paths = InstantMeshPaths(unet=files / "diffusion_pytorch_model.bin", **shared)
        return instantmesh(paths, InstantMeshChoices(**self._choices()), precision)

    def component(self, kind: str) -> Any:
        """The ComponentSpec of that kind, with its network loaded; those before it are loaded and dropped on the way."""
        for spec in self._specs():
            if spec.kind == kind:
                return spec
        raise SystemExit(f"{self.name} has no component {kind}")

    def _specs(self) -> Iterator[Any]:
        return self.plan().components()

    def _choices(self) -> dict[str, int]:
        if self.sizes.name == "full":
            return {}
        coarse = {"coarse_points": SMALL_COARSE} if self.recipe == "sharp-it" else {}
        return {"view_size": self.sizes.view, "grid_resolution": SMALL_GRID, **coarse}
