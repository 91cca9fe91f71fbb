"""A pack: its manifest, its files, its golden inputs."""
