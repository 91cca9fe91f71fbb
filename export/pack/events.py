"""What `write_pack` tells while it works."""

from __future__ import annotations

from dataclasses import dataclass

from .parity import Error


@dataclass(frozen=True)
class ComponentStarted:
    """A component's network is in memory, and its export begins.

    number : from 1; count : of all components, None where they come from a generator
    """

    kind: str
    number: int
    count: int | None


@dataclass(frozen=True)
class ComponentDone:
    """A component is written and compared.

    parameters : numbers in its weights; bytes : of its files
    seconds : from asking for the network to the comparison; error : None if it was not compared
    peak_bytes : the most memory this process had meanwhile; None where the system does not tell
    """

    kind: str
    number: int
    count: int | None
    parameters: int
    bytes: int
    seconds: float
    error: Error | None
    peak_bytes: int | None


Event = ComponentStarted | ComponentDone
