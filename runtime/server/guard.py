"""What every request has to pass before anything of ours sees it: who may ask, from where, and how much.

A server on this machine can be reached by every page that a browser on this machine shows. So the Host must be one of ours (a page
whose name is pointed at this machine has another one), a page from elsewhere changes nothing, and bodies are counted as they come.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
# Answered without a token: the page, which holds nothing but itself, and that the server is there.
OPEN_PATHS = ("/", "/healthz")
OPEN_FOLDER = "/static/"
MAX_HEADERS, MAX_TARGET = 100, 8192
SECURITY = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; connect-src 'self' blob: data:; worker-src 'self' blob:;"
                               " script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none';"
                               " base-uri 'none'; form-action 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}


@dataclass(frozen=True)
class Limits:
    """hosts : "name:port" or "name", lower case, that a request may be meant for; token : that it must bring, None for none

    max_body : bytes
    """

    hosts: frozenset[str]
    token: str | None
    max_body: int


class Guard:
    """An ASGI application in front of another one."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with what is wrong with it."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = False

        async def secured(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message.get("headers", ())}
                message = {**message, "headers": [*message.get("headers", ()), *(
                    (name.encode(), value.encode()) for name, value in SECURITY.items() if name.encode() not in present)]}
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, self._counted(scope, receive), secured)
        except Problem as problem:
            if not started:
                await problem.response()(scope, receive, secured)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if len(scope["headers"]) > MAX_HEADERS or len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET:
            raise Problem(431, "the request's head is too large")
        if headers.getlist("host") != [headers.get("host", "")] or headers.get("host", "").lower() not in self.limits.hosts:
            raise Problem(421, "this is not a host name of this server", "use the address that it was started with")
        if scope["method"] in CHANGING:
            self._check_origin(headers)
        if self.limits.token is not None and scope["path"] not in OPEN_PATHS and not scope["path"].startswith(OPEN_FOLDER):
            self._check_token(headers)

    def _check_origin(self, headers: Headers) -> None:
        """A page from elsewhere is told apart by what its browser says of it; other programs say nothing."""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in self.limits.hosts or \
                headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Problem(403, "requests from pages of other origins are refused")

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), (self.limits.token or "").encode()):
            raise Problem(401, "the token is missing or wrong", "send the header Authorization: Bearer TOKEN",
                          headers={"www-authenticate": "Bearer"})

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """The body, until it is too large, whether it says so beforehand or not."""
        most, seen = self.limits.max_body, 0
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise _too_large(most)

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    raise _too_large(most)
            return message

        return counted


def _too_large(most: int) -> Problem:
    return Problem(413, "the body is too large", f"expected at most {most} bytes", headers={"connection": "close"})


def hosts_of(address: str, port: int, names: Iterable[str] = ()) -> frozenset[str]:
    """The values of Host that mean a server at this address; on a loopback address all of those.

    names : further ones, with their ports where they have one, such as those of a proxy
    """
    loopback = {"127.0.0.1", "localhost", "[::1]"}
    own = f"[{address}]" if ":" in address else address.lower()
    found = loopback if own in loopback else {own}
    return frozenset({f"{name}:{port}" for name in found} | (found if port == 80 else set()) | {name.lower() for name in names})
