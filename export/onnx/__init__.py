"""A PyTorch module becomes one ONNX file."""
