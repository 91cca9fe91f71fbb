"""Sessions of ONNX Runtime on the CPU, on CUDA and on other providers, and their weights."""
