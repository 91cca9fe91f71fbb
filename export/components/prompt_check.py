"""Whether a prompt is like what a pack was trained on, or more like other things."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..spec import FP16_STORED, ComponentSpec, Input, Precision

# Of the cosines: at this one the nearest dozen of some hundred texts count most.
TEMPERATURE = 0.1


class PromptCheck(nn.Module):
    """Compares the mean of a prompt's token states with those of texts for known things and for others.

    known (n, D), others (m, D) : mean token states, of any length
    margin : how much nearer to the others a prompt must be before it counts as one of them
    """

    def __init__(self, known: Tensor, others: Tensor, margin: float) -> None:
        super().__init__()
        self.known, self.others, self.margin = _table(known), _table(others), margin

    def forward(self, states: Tensor) -> Tensor:
        """states (1, T, D), zero behind the prompt -> likeness (1, 2): to the known things, and to the others less the margin."""
        mean = F.normalize(states.sum(dim=1), dim=-1)
        known, others = (TEMPERATURE * (torch.logsumexp(table(mean) / TEMPERATURE, dim=-1, keepdim=True)
                                        - torch.log(torch.tensor(float(table.out_features)))) for table in (self.known, self.others))
        return torch.cat([known, others - self.margin], dim=-1)


def prompt_check(check: PromptCheck, states: tuple[int, int], *, precision: Precision = FP16_STORED) -> ComponentSpec:
    """states : tokens and width of what the text encoder gives for a prompt"""
    return ComponentSpec("prompt_check", check, (Input("states", (1, *states)),), ("likeness",), precision=precision)


def _table(rows: Tensor) -> nn.Linear:
    """Cosines with each row."""
    table = nn.Linear(rows.shape[1], rows.shape[0], bias=False)
    table.weight.data = F.normalize(rows, dim=-1)
    return table.requires_grad_(False)
