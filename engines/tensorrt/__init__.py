"""TensorRT and TensorRT-RTX: running an engine, and building one in a process of its own."""
