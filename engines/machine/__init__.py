"""Which hardware and which packages this machine has."""
