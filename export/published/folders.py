"""The networks of the published folders and files, found by their configuration and read only when asked.

    unet = folders.unet("zero123plus/unet", in_channels=4)
    unet.check()            # names and shapes, in a moment
    module = unet.load()    # FP32, mapped from the file where it is stored so
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...engines.errors import CheckpointError, ExportError
from ..models.reconstructor import Kind, Reconstructor, ReconstructorConfig
from ..models.reconstructor_config import VIEW_SIZE, reconstructor_config
from ..models.shap_e import GENERATED, ShapEDecoder, ShapEDecoderConfig
from .checkpoint import check_strict, files_of, load_strict, read_tensors
from .json_file import read_object

StrPath = str | os.PathLike[str]
# In the order in which they are preferred: whole before sharded, safetensors before pickles, full before half precision.
WEIGHTS = tuple(f"{stem}{suffix}" for suffix in (".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json",
                                                 ".fp16.safetensors", ".fp16.bin")
                for stem in ("diffusion_pytorch_model", "model", "pytorch_model"))
# Shap-E's ShapERenderer also stores what only its own renderers use.
_RENDERER_EXTRAS = ("mesh_decoder.", "void.", "volume.")
_MLP = "mlp.mlp.{}.weight"
# What training saved beside the model, such as an image metric, stands under other prefixes.
_INSTANT_MESH = "lrm_generator."
_VARIANTS = {"mesh": "a mesh checkpoint, instant_mesh_*.ckpt", "nerf": "a NeRF checkpoint, instant_nerf_*.ckpt"}


@dataclass(frozen=True)
class Network:
    """A network that is still on disk.

    subject : what messages call it
    config : a dict of config.json and the defaults of its class, or a dataclass where the sizes came from the tensors
    files : what it is read from
    notices : about slips in its files that were let pass
    build : makes the module, whose weights then come from `read`
    """

    subject: str
    config: Any
    files: tuple[Path, ...]
    notices: tuple[str, ...]
    build: Callable[[], nn.Module]
    read: Callable[[], dict[str, Tensor]]

    def check(self) -> None:
        """Compare names and shapes without reading the weights. Raises CheckpointError."""
        check_strict(self.build, self.read(), self.subject)

    def load(self) -> nn.Module:
        """A new module in FP32, eval mode, without gradients. Raises CheckpointError."""
        return load_strict(self.build, self.read(), self.subject)


@dataclass(frozen=True)
class InstantMesh(Network):
    """variant : "mesh" or "nerf", what the planes hold."""

    config: ReconstructorConfig
    variant: Kind


def text_encoder(folder: StrPath) -> Network:
    """CLIPTextModel: that of Stable Diffusion 2.1, in Zero123++."""
    return _transformers("the text encoder", folder, "CLIPTextModel", "CLIPTextConfig")


def projected_text_encoder(folder: StrPath) -> Network:
    """CLIPTextModelWithProjection: that of Shap-E."""
    return _transformers("the text encoder", folder, "CLIPTextModelWithProjection", "CLIPTextConfig")


def vision_encoder(folder: StrPath) -> Network:
    """CLIPVisionModelWithProjection: that of Zero123++."""
    return _transformers("the vision encoder", folder, "CLIPVisionModelWithProjection", "CLIPVisionConfig")


def image_encoder(folder: StrPath) -> Network:
    """CLIPVisionModel: that of Shap-E's picture variant."""
    return _transformers("the image encoder", folder, "CLIPVisionModel", "CLIPVisionConfig")


def unet(folder: StrPath, *, in_channels: int, weights: StrPath | None = None) -> Network:
    """UNet2DConditionModel. weights : a file that replaces the folder's own; in_channels : 4, or 8 for the refiner."""
    network = _diffusers("the UNet", folder, "UNet2DConditionModel", weights)
    found = network.config.get("in_channels", 4)
    if found != in_channels:
        remedy = {8: "give the folder of the Sharp-It UNet, which also reads the coarse views; that of Zero123++ has 4 channels",
                  4: "give the folder of Zero123++; the refiner of Sharp-It has 8 channels"}.get(in_channels)
        raise CheckpointError(f"{network.subject} is not the expected network", received=f"{found} input channels",
                              expected=f"{in_channels} input channels", remedy=remedy)
    return network


def controlnet(folder: StrPath) -> Network:
    """ControlNetModel: depth or normals for Zero123++."""
    return _diffusers("the ControlNet", folder, "ControlNetModel")


def vae(folder: StrPath) -> Network:
    """AutoencoderKL."""
    return _diffusers("the autoencoder", folder, "AutoencoderKL")


def prior(folder: StrPath) -> Network:
    """PriorTransformer: Shap-E's, of texts or of pictures."""
    return _diffusers("the prior", folder, "PriorTransformer")


def shap_e_decoder(root: StrPath) -> Network:
    """ShapEDecoder, from `shap_e_renderer` or the older `renderer` in the folder of the pipeline; sizes from its tensors."""
    root = existing_folder(root)
    folder = next((root / name for name in ("shap_e_renderer", "renderer") if os.path.isdir(root / name)), root / "shap_e_renderer")
    subject = f"the Shap-E decoder in {folder}"
    config, notices = read_object(existing_folder(folder) / "config.json")
    if config.get("insert_direction_at", GENERATED) != GENERATED:
        raise CheckpointError(f"{subject} reads directions at another layer", received=str(config["insert_direction_at"]),
                              expected=str(GENERATED))
    files = files_of(weights_file(folder))

    def read() -> dict[str, Tensor]:
        return {name: tensor for name, tensor in read_tensors(files[0]).items() if not name.startswith(_RENDERER_EXTRAS)}

    sizes = _decoder_config(read(), subject)
    return Network(subject, sizes, files, notices, lambda: ShapEDecoder(sizes), read)


def _decoder_config(tensors: Mapping[str, Tensor], subject: str) -> ShapEDecoderConfig:
    layers = [tensors[name] for name in map(_MLP.format, range(len(tensors))) if name in tensors]
    projection = tensors.get("params_proj.projections.nerstf__mlp__0__weight.proj.weight")
    if len(layers) <= GENERATED or projection is None or any(tensor.ndim != 2 for tensor in (projection, *layers)):
        raise CheckpointError(f"{subject} does not have the tensors of ShapERenderer", expected="params_proj.* and 7 layers mlp.mlp.*",
                              received=f"{len(tensors)} tensors, {len(layers)} such layers")
    (hidden, position), (_, middle) = layers[0].shape, layers[GENERATED].shape
    return ShapEDecoderConfig(latent_width=projection.shape[1], hidden=hidden, frequencies=(position - 3) // 6,
                              direction_width=middle - hidden, layers=len(layers), outputs=layers[-1].shape[0])


def instant_mesh(file: StrPath, variant: Kind | None = None, *, view_size: int = VIEW_SIZE) -> InstantMesh:
    """Reconstructor with its decoder; sizes and variant from its tensors.

    variant : the one that must be there, or None for either; view_size : pixels of a view, which no file tells
    """
    files = files_of(Path(file))
    subject = f"the reconstructor in {file}"

    def read() -> dict[str, Tensor]:
        tensors = read_tensors(files[0])
        own = {name.removeprefix(_INSTANT_MESH): t for name, t in tensors.items() if name.startswith(_INSTANT_MESH)}
        return own or tensors

    try:
        config, found = reconstructor_config(read(), view_size=view_size)
    except CheckpointError:
        raise
    except ExportError as error:
        raise CheckpointError(f"{subject}: {error.subject}", received=error.received, expected=error.expected,
                              remedy=error.remedy) from error
    if variant not in (None, found):
        raise CheckpointError(f"{subject} is the other variant of InstantMesh", received=_VARIANTS[found], expected=_VARIANTS[variant],
                              remedy="give the other file, or name this one under the option for its variant")
    return InstantMesh(subject, config, files, (), lambda: Reconstructor(config, found), read, found)


def weights_file(folder: StrPath) -> Path:
    """The file of weights in the folder of one network. Raises CheckpointError if there is none."""
    folder = existing_folder(folder)
    found = next((folder / name for name in WEIGHTS if os.path.isfile(folder / name)), None)
    if found is None:
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:20]) or "an empty folder"
        raise CheckpointError(f"{folder} has no weights", received=there, expected=f"{WEIGHTS[0]}, {WEIGHTS[1]} or the like",
                              remedy="download the folder again, large files included")
    return found


def existing_folder(folder: StrPath) -> Path:
    """`folder` as a Path. Raises CheckpointError if it is missing or a file."""
    folder = Path(folder)
    if os.path.isdir(folder):
        return folder
    if os.path.exists(folder):
        raise CheckpointError(f"{folder} is a file", expected="a folder as it was published",
                              remedy=f"give the folder that holds it, {folder.parent}, perhaps")
    raise CheckpointError(f"{folder} does not exist", expected="a folder as it was published")


def _config(what: str, folder: Path, kind: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The folder's config.json, which must be of that class, if it says of which it is."""
    config, notices = read_object(existing_folder(folder) / "config.json")
    named = config.get("_class_name") or config.get("architectures") or kind
    found = named[0] if isinstance(named, list) else named
    if found != kind:
        raise CheckpointError(f"{what} in {folder} is of another class", received=str(found), expected=kind)
    return config, notices


def _diffusers(what: str, folder: StrPath, kind: str, weights: StrPath | None = None) -> Network:
    import diffusers

    written, notices = _config(what, Path(folder), kind)
    files = files_of(Path(weights) if weights else weights_file(folder))
    build = getattr(diffusers, kind)
    defaults = {name: option.default for name, option in inspect.signature(build.__init__).parameters.items() if name != "self"}
    return Network(f"{what} in {weights or folder}", {**defaults, **written}, files, notices,
                   lambda: build.from_config(written), lambda: read_tensors(files[0]))


def _transformers(what: str, folder: StrPath, kind: str, config_kind: str) -> Network:
    import transformers

    written, notices = _config(what, Path(folder), kind)
    files = files_of(weights_file(folder))
    build, configure = getattr(transformers, kind), getattr(transformers, config_kind)
    return Network(f"{what} in {folder}", {**configure().to_dict(), **written}, files, notices,
                   lambda: build(configure.from_dict(written)), lambda: read_tensors(files[0]))
