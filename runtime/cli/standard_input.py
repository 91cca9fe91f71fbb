"""A picture from standard input, for the command line alone: the library reads files, and leaves its host's streams be."""

from __future__ import annotations

import sys
from typing import Any

from ...engines.errors import InputError
from ..images.pictures import MAX_BYTES, Picture, picture_of

STANDARD_INPUT = "-"
NAME = "standard input"


def with_standard_input(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a request with the picture of standard input in the place of the "-" among them.

    Errors: InputError where standard input is asked for twice, is closed, or is no picture.
    """
    names = ("image", "matte", "control")
    pictures: list[object] = [options.get(name) for name in names] + [file for _, file in options.get("views", ())]
    asked = sum(isinstance(picture, str) and picture == STANDARD_INPUT for picture in pictures)
    if not asked:
        return options
    if asked > 1:
        raise InputError("standard input holds one picture", received=f"{STANDARD_INPUT} {asked} times", expected=f"{STANDARD_INPUT} once")
    picture = _picture()
    given: dict[str, Any] = {name: picture if name in names and value == STANDARD_INPUT else value for name, value in options.items()}
    if "views" in given:
        given["views"] = [(azimuth, picture if file == STANDARD_INPUT else file) for azimuth, file in given["views"]]
    return given


def _picture() -> Picture:
    try:
        if sys.stdin is None:
            raise ValueError("it is closed")
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"the picture {NAME} cannot be read", received=getattr(error, "strerror", None) or str(error),
                         expected="a picture") from error
    return picture_of(data, NAME, profile=True)
