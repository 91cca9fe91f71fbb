"""One module an exported component."""
