"""What no published file tells: the options of the export commands, with the values that the facts favour.

Where the original code could not be read, the value is an assumption; it is recorded under "choices" in pack.json.
"""

from __future__ import annotations

from dataclasses import dataclass

VIEW_SIZE = 320
SPACINGS = ("trailing", "file")
COARSE_ENCODINGS = ("target", "raw")
POSTERIORS = ("sample", "mode")
UNCONDITIONAL_COARSE = ("same", "zeros", "zero-image")
SAMPLERS = ("original", "diffusers")
SHADINGS = ("shap-e", "plain")
TEXTURE_SOURCES = ("views", "field", "blend")
# Brightness behind the object. Zero123++ composites on 127 of 255, InstantMesh's copy of it on white.
BACKGROUNDS = {"white": 1.0, "grey": 127 / 255}
# Of the six views; 1.1 of Zero123++ looks from other heights than 1.2 and Sharp-It.
ELEVATIONS = (20.0, -10.0)
ELEVATIONS_1_1 = (30.0, -20.0)


@dataclass(frozen=True)
class SharpItChoices:
    """Of a sharp-it pack.

    view_size : pixels along a view
    steps, guidance : defaults of the refiner's loop
    prior_steps, prior_guidance : the same for Shap-E's; None for 15 from a text and 3 from a picture
    sampler : of Shap-E, "original" (OpenAI's, x0 clamped before guidance) or "diffusers" (clamped after it)
    spacing : of the refiner's timesteps, "trailing" as all official scripts have it, or "file"
    coarse_encoding : "target", scaled as the latents that are denoised, or "raw", as Zero123++'s reference latents
    coarse_posterior : "sample" or "mode" of the autoencoder's distribution
    uncond_coarse : what the unconditional half sees: the "same" coarse views, "zeros", or the "zero-image" encoded
    scale_coarse : coarse latents are divided by sqrt(sigma^2 + 1), as the noisy ones are
    shrink : the coarse mesh is made smaller by 127/129, as Shap-E's own decoder does
    coarse_points : along a side of the grid that the coarse mesh is read off
    coarse_distance : of the cameras around the coarse mesh, as the author's notebook gives it to its helper
    shading : of the coarse views, "shap-e" for its renderer's light, "plain" for ours
    elevations : of the six views in degrees, repeated
    grid_resolution : of the final field; None for InstantMesh's, 128 cells for a mesh, 256 points for a NeRF
    texture_from : default of `generate`
    deep_cache : the refiner gives its deep features, and a step that takes them is there too (DeepCache)
    """

    view_size: int = VIEW_SIZE
    steps: int = 75
    guidance: float = 7.5
    prior_steps: int = 64
    prior_guidance: float | None = None
    sampler: str = "original"
    spacing: str = "trailing"
    coarse_encoding: str = "target"
    coarse_posterior: str = "sample"
    uncond_coarse: str = "same"
    scale_coarse: bool = False
    shrink: bool = True
    coarse_points: int = 128
    coarse_distance: float = 2.0
    shading: str = "shap-e"
    elevations: tuple[float, ...] = ELEVATIONS
    grid_resolution: int | None = None
    texture_from: str = "field"
    deep_cache: bool = False


@dataclass(frozen=True)
class InstantMeshChoices:
    """Of an instantmesh pack; what is not told here is as in `SharpItChoices`.

    background : behind the picture and the views, "white" or "grey"; None for what the UNet was trained on: white for a file of
        weights in place of Zero123++'s own, which InstantMesh publishes, and else grey
    posterior : "sample" or "mode", for the picture that the UNet looks at
    elevations : None for those of the version of Zero123++
    """

    view_size: int = VIEW_SIZE
    steps: int = 75
    guidance: float = 4.0
    spacing: str = "trailing"
    background: str | None = None
    posterior: str = "sample"
    elevations: tuple[float, ...] | None = None
    grid_resolution: int | None = None
    texture_from: str = "field"
