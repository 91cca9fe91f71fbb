"""Cuts the object out of a picture: by the picture's own alpha, by a matte that the user gives, or by a network.

    with Matting() as matting:
        crop = crop_object(matting.foreground(read_picture("mug.jpg")))
"""

from .foreground import MATTES, RATIO, Foreground, check_matte, crop_object
from .matting import Matting

__all__ = ["MATTES", "RATIO", "Foreground", "Matting", "check_matte", "crop_object"]
