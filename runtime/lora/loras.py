"""Which LoRAs an open pack has on, and what that makes of its networks."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...engines.errors import BackendError, InputError, MeshwrightError
from ..pack.golden import Golden
from .file import Lora, read_lora
from .merge import NetworkWeights

if TYPE_CHECKING:
    from ..backends.models import Models
    from ..backends.pack_engines import OnBuild

# The UNets, in the order in which one is taken where the caller names none.
COMPONENTS = ("refiner_step", "views_step")
MAX_SCALE = 100.0


@dataclass(frozen=True, eq=False)
class AppliedLora:
    """A LoRA that is on. component : of the pack, such as "refiner_step"."""

    lora: Lora
    scale: float
    component: str

    def describe(self) -> dict[str, object]:
        """What a result says of it, as plain JSON."""
        return {"file": self.lora.name, "sha256": self.lora.sha256, "scale": self.scale, "component": self.component}


class Loras:
    """The LoRAs of one open pack. Their sum is merged into the base weights, so nothing is left of one that is taken off."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.applied: tuple[AppliedLora, ...] = ()

    def load(self, file: str | Path, scale: float = 1.0, component: str | None = None,
             on_build: OnBuild = lambda name, share: None) -> None:
        """Put one more on. Errors: InputError, BackendError, and what `on_build` raises; what was on before is then on as it was."""
        if isinstance(scale, bool) or not isinstance(scale, Real) or not abs(float(scale)) <= MAX_SCALE:
            raise InputError("the LoRA's scale is out of range", received=repr(scale),
                             expected=f"a number, {-MAX_SCALE:g} to {MAX_SCALE:g}")
        kind, before = self._component(component), self.applied
        self._use(kind, (*before, AppliedLora(read_lora(file), float(scale), kind)))
        try:
            self._check_finite(kind, on_build)
        except BaseException:
            self._use(kind, before)
            raise

    def unload(self) -> None:
        """Take all off: the networks have the weights of their files again. BackendError if one does not give its golden outputs then."""
        kinds = dict.fromkeys(each.component for each in self.applied)
        for kind in kinds:
            self._use(kind, tuple(each for each in self.applied if each.component != kind))
        for kind in kinds:
            self._check_base(kind)

    def _component(self, named: str | None) -> str:
        there = [kind for kind in COMPONENTS if self._models.has(kind)]
        if named is None and there:
            return there[0]
        if named not in there:
            raise InputError(f"pack {self._models.pack.manifest.name} has no such UNet for a LoRA", received=repr(named),
                             expected=" or ".join(there) or "a pack with one")
        return named

    def _use(self, kind: str, applied: tuple[AppliedLora, ...]) -> None:
        """Nothing has changed if this raises."""
        self._models.set_weights(kind, self._merged(kind, applied))
        self.applied = applied

    def _merged(self, kind: str, applied: tuple[AppliedLora, ...]) -> dict[str, np.ndarray]:
        mine = [(each.lora, each.scale) for each in applied if each.component == kind]
        pack = self._models.pack
        return NetworkWeights(pack.path(pack.component(kind).file)).merged(mine) if mine else {}

    def _check_finite(self, kind: str, on_build: OnBuild) -> None:
        """Replay the golden inputs: there is no reference for other weights, but no network may answer with NaN."""
        pack = self._models.pack
        outputs = self._models.engine(kind, on_build).run(Golden(pack).inputs(pack.component(kind)))
        broken = [name for name, value in outputs.items() if not np.isfinite(value).all()]
        if broken:
            raise InputError(f"with the LoRA {self.applied[-1].lora.name}, {kind} produces values that are not finite",
                             received=", ".join(broken), remedy="use a smaller scale")

    def _check_base(self, kind: str) -> None:
        pack = self._models.pack
        if self._models.backends.wanted == "null":
            return
        try:
            check = Golden(pack).replay(self._models.engine(kind), pack.component(kind))
        except MeshwrightError as error:
            raise BackendError(f"{kind} does not run after its LoRA was unloaded", received=str(error)) from error
        if not check.passed:
            raise BackendError(f"without its LoRA, the results of {kind} differ from the golden outputs",
                               received=f"relative error {check.relative:.2g}", expected=f"at most {check.tolerance:.2g}")
