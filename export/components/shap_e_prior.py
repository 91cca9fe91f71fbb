"""One step of the Shap-E prior: latent rows from a text, by diffusers' PriorTransformer."""

from __future__ import annotations

from torch import nn

from ..onnx.step_model import OUTPUTS, Clamp, StepModel
from ..spec import FP16_STORED, ComponentSpec, Precision, halves
from .parts import STEP_AXES, STEP_CASES, step_inputs, step_network


def shap_e_prior(prior: nn.Module, states: tuple[int, int], clamp: Clamp | None = None, *,
                 precision: Precision = FP16_STORED) -> ComponentSpec:
    """`prior` : diffusers' PriorTransformer over latent rows; a second half of its output is dropped.

    states : tokens and width of the condition, which stand before the time and the latent rows
    clamp : of the prediction; the published models take ("before", -1, 1) or ("after", -1, 1)
    """
    latent = (1, prior.config.num_embeddings, prior.config.embedding_dim)
    precision = halves(precision)
    module = StepModel(step_network(prior, precision), "prefix", clamp)
    return ComponentSpec("prior_step", module, step_inputs(latent, states), OUTPUTS, STEP_AXES, precision,
                         StepModel(prior, "prefix", clamp), axes_of_cases=STEP_CASES)
