"""glTF 2.0: reads GLB and glTF files, writes GLB."""
