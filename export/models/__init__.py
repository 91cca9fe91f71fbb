"""Networks that no library carries, with the published parameter names."""
