"""LoRA (arXiv 2106.09685): small files that change how a network draws, merged into its weights while a pipeline is open."""

from .file import Layer, Lora, read_lora
from .loras import AppliedLora, Loras

__all__ = ["AppliedLora", "Layer", "Lora", "Loras", "read_lora"]
