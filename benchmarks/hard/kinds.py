"""What every kind of case has in common: a folder that is prepared once, then one numbered case after another."""

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random
from typing import ClassVar


class Kind(ABC):
    """One kind of forced test, set up in a process of its own.

    goal : cases of a full run; limit : seconds that one case may take; said : what the cases are, for people
    """

    name: ClassVar[str]
    goal: ClassVar[int]
    limit: ClassVar[float] = 20.0
    said: ClassVar[str]

    @abstractmethod
    def __init__(self, folder: Path) -> None:
        """Prepare in an empty folder what all cases start from."""

    @abstractmethod
    def case(self, number: int, rng: Random) -> str:
        """Run one case: the same number, the same case. What came of it, in a word, such as "refused" or "read".

        Raises Lost for a file that is lost, half-written or mixed; whatever else it raises is foreign.
        """

    def close(self) -> None:  # noqa: B027 most have nothing to give back
        """Give back what was prepared, and what lives on."""


class Lost(Exception):
    """A file is lost or half-written, a process is left over, or memory grows."""


class Mixed(Lost):
    """Of several files that belong together, some are new and some are old."""
