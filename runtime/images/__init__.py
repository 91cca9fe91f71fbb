"""Cuts the object out of a picture: by the picture's own alpha, by a matte that the user gives, or by a network.

    with Matting() as matting:
        crop = cropped(matting.foreground(read_picture("mug.jpg")))
"""

from .foreground import MATTES, RATIO, Foreground, check_matte, cropped
from .matting import Matting

__all__ = ["MATTES", "RATIO", "Foreground", "Matting", "check_matte", "cropped"]
