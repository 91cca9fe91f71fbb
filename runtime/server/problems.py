"""What a server answers when it does not do what was asked: RFC 9457, `application/problem+json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """status : of HTTP; title : what is wrong, in a few words; detail : what to do

    faults : (JSON pointer into the body, what is wrong there); headers : of the answer
    """

    def __init__(self, status: int, title: str, detail: str = "", *, faults: Sequence[tuple[str, str]] = (),
                 headers: Mapping[str, str] | None = None) -> None:
        super().__init__(title)
        self.status, self.title, self.detail, self.faults, self.headers = status, title, detail, tuple(faults), dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        body: dict[str, Any] = {"type": "about:blank", "status": self.status, "title": self.title}
        if self.detail:
            body["detail"] = self.detail
        if self.faults:
            body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in self.faults]
        return Response(json.dumps(body), self.status, self.headers, MEDIA_TYPE)
