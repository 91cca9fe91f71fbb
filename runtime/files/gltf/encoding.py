"""How colours and geometry of a glTF file are encoded, and the pictures themselves."""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from ....engines.errors import BackendUnavailable

TEXTURES, GEOMETRIES = ("png", "jpeg", "webp", "ktx2"), ("none", "meshopt", "draco")
TEXTURE_EXTENSIONS = {"webp": "EXT_texture_webp", "ktx2": "KHR_texture_basisu"}
GEOMETRY_EXTENSIONS = {"meshopt": ("EXT_meshopt_compression", "KHR_mesh_quantization"), "draco": ("KHR_draco_mesh_compression",)}
# The package that each needs, and how it is installed.
PACKAGES = {"meshopt": ("meshopt", "pip install 'meshwright[meshopt]'"), "draco": ("DracoPy", "pip install 'meshwright[draco]'"),
            "ktx2": ("alktx2", "pip install 'meshwright[ktx2]'")}
LOSSY = 90  # quality of JPEG and WebP


@dataclass(frozen=True)
class Encoding:
    """texture : of the colours, one of `TEXTURES`; geometry : one of `GEOMETRIES`"""

    texture: str = "png"
    geometry: str = "none"

    @property
    def extensions(self) -> tuple[str, ...]:
        """Those of glTF without which a file of this encoding cannot be read, where it has colours."""
        texture = TEXTURE_EXTENSIONS.get(self.texture)
        return (*GEOMETRY_EXTENSIONS.get(self.geometry, ()), *(() if texture is None else (texture,)))

    def require_packages(self) -> None:
        """BackendUnavailable, with the command that installs it, for a package that is missing."""
        for name in (self.texture, self.geometry):
            package, install = PACKAGES.get(name, ("numpy", ""))
            if find_spec(package) is None:
                raise BackendUnavailable(f"{name} is written by another package", received=f"no {package}", expected=package,
                                         remedy=install)


PLAIN = Encoding()


def color_bytes(texture: np.ndarray, kind: str) -> bytes:
    """The file of (h, w, 3) uint8 sRGB in one of `TEXTURES`.

    JPEG of quality 90 has colours at full resolution: charts are small, and bleed otherwise. WebP is of quality 90 as well, KTX2 is
    UASTC (Basis Universal) with mip levels and Zstandard.
    """
    if kind == "png":
        return png_bytes(texture)
    if kind == "ktx2":
        import alktx2

        return bytes(alktx2.encode_bytes_to_ktx2(png_bytes(texture), mime="image/png", codec="uastc", quality=60, effort=1, srgb=True,
                                                 mipmaps=True, threads=1, uastc_rdo_lambda=3.0, zstd_supercompression_level=18))
    from PIL import Image

    out, picture = io.BytesIO(), Image.fromarray(np.ascontiguousarray(texture))
    if kind == "jpeg":
        picture.save(out, "JPEG", quality=LOSSY, subsampling=0)
    else:
        picture.save(out, "WEBP", quality=LOSSY, method=4)
    return out.getvalue()


def png_bytes(texture: np.ndarray, level: int = 4) -> bytes:
    """A PNG file of (h, w, 3) uint8 sRGB, (h, w, 4) with alpha, or (h, w) grey.

    level : of compression, 0 to 9; 4 takes half the time of 6, for files 8 % larger
    """
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(texture)).save(out, "PNG", compress_level=level)
    return out.getvalue()
