"""Takes the trained weights back out of a pack: its ONNX files become checkpoints.

    python -m meshwright.export.props.restore --pack runtime/packs/props --out CHECKPOINTS

A module whose parameters hold numbers that occur once is exported as the pack was. Where one of them turns up in that graph, at
the same place of the pack's graph stand the trained numbers. No name is looked at: exporters fold and rename weights.
`pack` reads them, and so does the training of other networks. That of their own cannot be resumed: no pack holds the state of an
optimiser. The encoder of the Shap-E autoencoder is in no pack either, and stays lost.
"""

import argparse
import difflib
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from ...engines.errors import ExportError
from ...engines.onnxruntime.int8_weights import dequantized
from ..components.field_decoder import field_decoder
from ..components.reconstructor import reconstructor
from ..components.refiner import refiner
from ..components.shap_e_decoder import shap_e_decoder
from ..components.shap_e_prior import shap_e_prior
from ..components.vae import Scaling, vae_decoder, vae_encoder
from ..models.reconstructor import Reconstructor
from ..models.shap_e import GENERATED, ShapEDecoder
from ..onnx.group_norm import split_group_norms
from ..onnx.onnx_file import write_onnx
from ..pack import parity
from ..spec import FP32, NOISE, ComponentSpec
from . import sizes
from .pack import steering_component, views_components
from .training import picture_prior, shap_e, vae
from .training import refiner as refiner_training
from .training.reconstructor import CONFIG
from .training.views import ViewsModel

# No forward pass reads them: PriorTransformer has two for CLIP embeddings, and Shap-E's first layers get generated weights.
UNREAD = frozenset({"clip_mean", "clip_std", *(f"mlp.mlp.{i}.weight" for i in range(GENERATED))})
# What stands in for the latents' statistics while their places are looked for.
PROBE = Scaling(shift=(0.123, 0.234, 0.345, 0.456), gain=0.5678)


class Graph:
    """The numbers of one ONNX file by the place at which a node uses them, those that are stored in 16 or 8 bits as FP32.

    Group norms are split as the exporter splits them, which those of older packs are not.
    """

    def __init__(self, path: Path) -> None:
        model = ir.load(path)
        split_group_norms(model)
        graph = ir.to_proto(model).graph
        values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        nodes = []
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in values:
                values[node.output[0]] = values[node.input[0]].astype(np.float32)
            elif node.op_type == "DequantizeLinear" and node.input[0] in values:
                options = {attribute.name: attribute.i for attribute in node.attribute}
                values[node.output[0]] = dequantized(values[node.input[0]], values[node.input[1]], options["axis"],
                                                      options["block_size"])
            else:
                nodes.append(node)
        self.kinds = [(node.op_type, len(node.input)) for node in nodes]
        self._uses = [[values.get(name) for name in node.input] for node in nodes]

    def numbers(self) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
        """((node, input), values) of every floating-point weight and constant."""
        for row, inputs in enumerate(self._uses):
            yield from (((row, i), value) for i, value in enumerate(inputs) if value is not None and value.dtype == np.float32)

    def places_in(self, other: "Graph") -> dict[int, int]:
        """Which node of `other` stands where: a later exporter may put in or leave out a node or two."""
        blocks = difflib.SequenceMatcher(None, self.kinds, other.kinds, autojunk=False).get_matching_blocks()
        return {own + i: theirs + i for own, theirs, length in blocks for i in range(length)}

    def at(self, place: tuple[int, int]) -> np.ndarray:
        found = self._uses[place[0]][place[1]]
        assert found is not None  # `place` is one of `numbers`
        return found


def fill(module: nn.Module) -> None:
    """Give every parameter numbers that occur nowhere else."""
    rng = np.random.default_rng(0)
    for parameter in module.parameters():
        parameter.data = torch.from_numpy(rng.normal(0, 0.05, tuple(parameter.shape)).astype(np.float32))


def restore(module: nn.Module, specs: tuple[ComponentSpec, ...], pack: Path) -> dict[str, Tensor]:
    """The trained state of `module`, a filled one, from those files in `pack` that `specs` would write.

    Loads it into `module` as well. Errors: ExportError if a parameter is in none of the graphs, or if the module with the trained
    weights gives other answers than the pack's files.
    """
    found: dict[str, Tensor] = {}
    for spec in specs:
        for name, values in _trained(module, *_graphs(spec, pack)):
            found.setdefault(name, values)
    missing = sorted(set(dict(module.named_parameters())) - set(found) - UNREAD)
    if missing:
        raise ExportError("weights are not in the pack's files", received=", ".join(missing), expected="every parameter")
    module.load_state_dict(found, strict=False)
    return module.state_dict()


def check(specs: Iterable[ComponentSpec], pack: Path) -> None:
    """Errors: ExportError if the modules of `specs` give other answers than their files in `pack`, to noise: older packs are off
    on pictures that are one colour nearly everywhere."""
    for spec in specs:
        error = parity.trials(spec, np.random.default_rng(0)).compare(pack / spec.file).errors.get(NOISE)
        if error is None or not error.rel < 1e-4:
            raise ExportError(f"the restored {spec.kind} is not that of the pack", received=f"relative error {error and error.rel}",
                              expected="below 1e-4")


def _trained(module: nn.Module, probe: Graph, trained: Graph) -> Iterator[tuple[str, Tensor]]:
    """Name and trained values of each of the module's parameters that `probe` holds."""
    same_place, by_content = probe.places_in(trained), {_content(value): place for place, value in probe.numbers()}
    for name, parameter in module.named_parameters():
        values = parameter.detach().numpy()
        place = by_content.get(_content(values))
        if place is not None and place[0] in same_place:
            yield name, _as_parameter(values, probe.at(place), trained.at((same_place[place[0]], place[1])), name)


def _graphs(spec: ComponentSpec, pack: Path) -> tuple[Graph, Graph]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / spec.file
        write_onnx(replace(spec, precision=FP32), path)
        return Graph(path), Graph(pack / spec.file)


def _content(values: np.ndarray) -> bytes:
    """The same for two arrays of the same numbers, whatever their axes and however often they are repeated."""
    return np.unique(values).tobytes()


def _as_parameter(parameter: np.ndarray, probe: np.ndarray, trained: np.ndarray, name: str) -> Tensor:
    """`trained` with its axes as `parameter` has them, where `probe` holds the parameter with the axes of `trained`."""
    once = tuple(slice(0, 1) if (probe == np.take(probe, [0], axis)).all() else slice(None) for axis in range(probe.ndim))
    probe, trained = probe[once], trained[once]
    shapes = {parameter.shape, tuple(n for n in parameter.shape if n > 1)}
    for shape in shapes:
        for order in itertools.permutations(range(len(shape))):
            moved = parameter.reshape(shape).transpose(order)
            if np.array_equal(moved.ravel(), probe.ravel()):
                back = trained.reshape(moved.shape).transpose(np.argsort(order))
                return torch.from_numpy(np.array(back.reshape(parameter.shape)))
    raise ExportError(f"weight {name} is stored in an order that is not known", received=str(probe.shape), expected=str(parameter.shape))


def latent_scaling(autoencoder: nn.Module, pack: Path) -> tuple[Tensor, float]:
    """Mean (4,) and deviation of the unscaled latents, from the encoder's graph in the pack."""
    probe, trained = _graphs(_specs("vae", autoencoder, PROBE)[0], pack)
    wanted = {"mean": np.array(PROBE.shift, np.float32), "gain": np.array([PROBE.gain], np.float32)}
    nodes = probe.places_in(trained)
    found = {key: trained.at((nodes[place[0]], place[1])).ravel() for key, value in wanted.items()
             for place, constant in probe.numbers() if np.array_equal(constant.ravel(), value)}
    return torch.from_numpy(np.array(found["mean"])), float(1 / found["gain"][0])


def write(pack: Path, out: Path, *, pictures: bool = True) -> None:
    """shap_e.pt (the decoder only), vae.pt, prior.pt, refiner.pt, reconstructor.pt, surface.pt, pairs.pt (statistics only); and, of a
    pack that takes pictures, views.pt and picture_prior.pt, unless `pictures` is false.

    Errors: ExportError as `restore` and `check`, or if `pack` is no folder of a pack.
    """
    if not (pack / "pack.json").is_file():
        raise ExportError(f"{pack} is not a pack", expected="a folder with pack.json")
    modules = networks(pictures and (pack / "views_step.onnx").exists())
    for module in modules.values():
        fill(module)
    mean, std = latent_scaling(modules["vae"], pack)
    scaling = Scaling(shift=tuple(mean.tolist()), gain=1 / std)
    for name, module in modules.items():
        state = restore(module, _specs(name, module, PROBE), pack)
        check(_specs(name, module, scaling), pack)
        print(f"{name}: {len(state)} weights", flush=True)
    write_checkpoints(out, {name: module.state_dict() for name, module in modules.items()}, mean, std)


def networks(pictures: bool = True) -> dict[str, nn.Module]:
    """Every network that the pack is made of, by the name of its checkpoint, with fresh weights; but for the text encoder."""
    found = {"prior": shap_e.build_prior(), "refiner": refiner_training.build(), "vae": vae.build(), "shap_e": ShapEDecoder(shap_e.CONFIG),
             "reconstructor": Reconstructor(CONFIG)}
    found |= {"views": ViewsModel(), "picture_prior": picture_prior.PictureWords()} if pictures else {}
    return {name: module.eval() for name, module in found.items()}


def _specs(name: str, module: nn.Module, scaling: Scaling) -> tuple[ComponentSpec, ...]:
    """The components that hold that network."""
    if name == "vae":
        return vae_encoder(module, *sizes.GRID, scaling), vae_decoder(module, *sizes.GRID, scaling)
    if name == "reconstructor":
        return reconstructor(module), *field_decoder(module.synthesizer, sizes.PLANES)
    one = {"prior": lambda: (shap_e_prior(module, sizes.STATES, sizes.CLAMP),), "views": lambda: views_components(module),
           "refiner": lambda: (refiner(module, sizes.LATENT_GRID, sizes.STATES),), "shap_e": lambda: shap_e_decoder(module),
           "picture_prior": lambda: (steering_component(module),)}
    return one[name]()


def write_checkpoints(out: Path, states: Mapping[str, Mapping[str, Tensor]], mean: Tensor, std: float) -> None:
    """The files that `pack` reads. states : of `networks`; mean (4,), std : of the unscaled latents"""
    out.mkdir(parents=True, exist_ok=True)
    for name, state in states.items():
        torch.save({"average": {f"decoder.{k}": v for k, v in state.items()} if name == "shap_e" else dict(state)}, out / f"{name}.pt")
    decoder, heads = "synthesizer.decoder.", ("net_deformation.", "net_weight.")
    tuned = {k.removeprefix(decoder): v for k, v in states["reconstructor"].items() if k.removeprefix(decoder).startswith(heads)}
    torch.save({"average": tuned}, out / "surface.pt")
    torch.save({"mean": mean, "std": torch.tensor(std)}, out / "pairs.pt")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoints")
    args = parser.parse_args()
    write(args.pack, args.out)
