"""`meshwright serve`."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import socket
import sys
import webbrowser
from pathlib import Path
from types import FrameType

from ...engines.errors import InputError, OutputError
from ...engines.files.lock import try_lock
from ...engines.files.user_folder import data_folder
from ...engines.machine.hardware import gpu_environments
from ..pack.pack import Pack
from .folder import DataFolder
from .worker import WorkerOptions

MEBIBYTE = 1 << 20
SMALLEST_TOKEN = 16
OTHER_FOLDER = "choose another folder with --data"
INSTALL = 'pip install "meshwright[serve]"'


def serve(options: argparse.Namespace) -> int:
    """Serve until stopped. What can be refused is refused before anything is started."""
    try:
        import uvicorn

        from .app import make_app
        from .guard import Guard, Limits, hosts_of
        from .service import Service, ServiceOptions
    except ModuleNotFoundError as error:
        raise InputError("the server needs packages that are not installed", received=f"no {error.name}", remedy=INSTALL) from error

    token = _token(options)
    packs = tuple(options.pack or ["props"])
    for name in packs:
        Pack.open(name, verify=False).require_trust()
    listener = _listener(options.host, options.port)
    port = listener.getsockname()[1]
    with listener, _Data(options.data) as folder:
        worker = WorkerOptions(str(folder.root), "", packs, deadline=options.deadline, backend=options.backend, threads=options.threads,
                               memory=options.memory, gpu_share=options.gpu_share, vram=options.vram)
        settings = ServiceOptions(worker, max_queue=options.max_queue, keep_seconds=options.keep_days * 86400,
                                  keep_bytes=int(options.keep_size * 1e9), environments=gpu_environments())
        service = Service(folder, settings)
        app = Guard(make_app(service), Limits(hosts_of(options.host, port, options.allow_host), token, options.max_body * MEBIBYTE))

        address = f"http://{f'[{options.host}]' if ':' in options.host else options.host}:{port}/"

        class Server(uvicorn.Server):
            """Says when it can be asked. Event streams, for whose end it waits, end as soon as it is to stop."""

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if not self.should_exit:
                    print(f"meshwright serves {', '.join(packs)} at {address}", flush=True)
                    if options.open:
                        webbrowser.open(address)

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                service.hub.close()
                super().handle_exit(sig, frame)

        config = uvicorn.Config(app, http="h11", lifespan="on", log_level="warning", access_log=False, server_header=False,
                                date_header=False, h11_max_incomplete_event_size=16384, timeout_keep_alive=15, timeout_graceful_shutdown=10,
                                limit_concurrency=2000)
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        Server(config).run(sockets=[listener])
    return 0


class _Data:
    """The folder, made and held by this server alone."""

    def __init__(self, named: str | None) -> None:
        self._path = data_folder() if named is None else Path(named)

    def __enter__(self) -> DataFolder:
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = DataFolder(self._path.resolve())
            self._lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise OutputError(f"the folder {self._path} cannot be used", received=error.strerror, remedy=OTHER_FOLDER) from error
        if not try_lock(self._lock):
            os.close(self._lock)
            raise OutputError(f"the folder {self._path} is used by another server", remedy=f"stop that one, or {OTHER_FOLDER}")
        return folder

    def __exit__(self, *exc_info: object) -> None:
        os.close(self._lock)


def _token(options: argparse.Namespace) -> str | None:
    """The token, None where none is needed. InputError if there should be one."""
    if options.token_file is None:
        if not _is_loopback(options.host):
            raise InputError("a server that other machines can reach needs a token", received=f"--host {options.host}",
                             remedy="give --token-file FILE, or listen at 127.0.0.1")
        return None
    try:
        token = Path(options.token_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the token file {options.token_file} cannot be read", received=str(error)) from error
    if len(token) < SMALLEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"the token in {options.token_file} cannot be used", received=f"{len(token)} characters",
                         expected=f"at least {SMALLEST_TOKEN} printable ASCII characters without spaces",
                         remedy="make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _listener(host: str, port: int) -> socket.socket:
    """A bound socket, so that a port that is taken is known before the packs are opened. InputError if it cannot be."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"the server cannot listen at port {port}", expected="0 to 65535", remedy="choose another with --port")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        raise InputError(f"the server cannot listen at {host}, port {port}", received=str(error),
                         remedy="choose others with --host and --port") from error
    return listener
