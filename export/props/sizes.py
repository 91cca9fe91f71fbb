"""Sizes that the pack's components share."""

from .training import language
from .training.reconstructor import CONFIG
from .world import pictures
from .world.dataset import VIEW_SIZE

STATES = (language.LENGTH, 384)
GRID = (3 * VIEW_SIZE, 2 * VIEW_SIZE)
LATENT_GRID = (GRID[0] // 8, GRID[1] // 8)
PLANES = (CONFIG.channels, CONFIG.tokens * CONFIG.upsample)
# Of the latents of a picture.
REFERENCE = (pictures.SIZE // 8, pictures.SIZE // 8)
# Of the prior's prediction: latents of Shap-E lie within.
CLAMP = ("after", -1.0, 1.0)
