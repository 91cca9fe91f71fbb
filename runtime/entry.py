"""A JSON document read with suspicion: every wrong type, range or missing entry is named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..engines.errors import PackFormat


class Entry:
    """One value of the document and where it stands, so that an error can name it."""

    def __init__(self, where: str, value: Any) -> None:
        self.where, self.value = where, value

    def __contains__(self, key: str) -> bool:
        return key in self.dict()

    def __getitem__(self, key: str) -> Entry:
        if key not in self.dict():
            raise PackFormat(f"{self.where} lacks an entry", expected=key)
        return Entry(f"{self.where}: {key}", self.value[key])

    def get(self, key: str, default: Any) -> Entry:
        return self[key] if key in self else Entry(f"{self.where}: {key}", default)

    def dict(self) -> Mapping[str, Any]:
        return self._of(dict, "an object")

    def items(self) -> list[tuple[str, Entry]]:
        return [(key, self[key]) for key in self.dict()]

    def list(self) -> list[Entry]:
        return [Entry(f"{self.where}[{i}]", value) for i, value in enumerate(self._of(list, "a list"))]

    def str(self, key: str, choices: tuple[str, ...] = ()) -> str:
        entry = self[key]
        text = entry._of(str, "a string")
        if choices and text not in choices:
            raise PackFormat(f"{entry.where} has an unknown value", received=text, expected=" or ".join(choices))
        return text

    def int(self, key: str, low: int = 0) -> int:
        entry = self[key]
        number = entry._of(int, "a whole number")
        if isinstance(number, bool) or number < low:
            raise PackFormat(f"{entry.where} is out of range", received=str(number), expected=f"at least {low}")
        return number

    def bool(self, key: str) -> bool:
        return self[key]._of(bool, "true or false")

    def float(self, key: str) -> float:
        return self[key].number()

    def number(self) -> float:
        value = self._of((int, float), "a number")
        if isinstance(value, bool) or not math.isfinite(value):
            raise PackFormat(f"{self.where} is not a finite number", received=str(value))
        return float(value)

    def numbers(self, key: str) -> tuple[float, ...]:
        return tuple(entry.number() for entry in self[key].list())

    def _of(self, types: Any, expected: str) -> Any:
        if not isinstance(self.value, types):
            raise PackFormat(f"{self.where} has the wrong type", received=type(self.value).__name__,
                             expected=expected)
        return self.value
