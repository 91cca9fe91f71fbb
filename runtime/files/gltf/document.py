"""The container of a glTF 2.0 file: its JSON, and the bytes that the JSON refers to (Khronos specification 2.0, sections 3.6 and 4.4)."""

from __future__ import annotations

import base64
import json
import re
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from ....engines.errors import InputError
from ..scene.notices import quoted

# Of all files beside the mesh together.
MAX_BYTES = 512 << 20
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Unreachable(ValueError):
    """A URI whose bytes are not there, or are not opened: the message names it and says why."""


class Document:
    """A glTF file that has been taken apart.

    root : the JSON object
    sources : the files beside it that were opened
    """

    def __init__(self, data: bytes, folder: Path) -> None:
        """data : a whole .glb or .gltf file, whichever its first bytes say; folder : where the files are that it refers to"""
        text, self._chunk = _chunks(data) if data[:4] == b"glTF" else (data, b"")
        self.root = _json(text)
        self.folder = folder
        self.sources: list[Path] = []
        self._buffers: dict[int, bytes] = {}
        self._views: dict[int, bytes] = {}  # that were compressed
        self._left = MAX_BYTES

    def entry(self, kind: str, index: Any) -> dict[str, Any]:
        """An element of one of the JSON's lists. LookupError, TypeError or ValueError where there is none."""
        if isinstance(index, bool) or not isinstance(index, int) or index < 0:
            raise ValueError(f"{quoted(index)} is not an index")
        found = self.root[kind][index]
        if not isinstance(found, dict):
            raise TypeError(f"{kind}[{index}] is not an object")
        return found

    def view(self, index: Any) -> tuple[memoryview, int]:
        """The bytes of a buffer view, and its stride, 0 for none."""
        view = self.entry("bufferViews", index)
        packed = next((found for name in MESHOPT if (found := view.get("extensions", {}).get(name)) is not None), None)
        if packed is not None and self._is_empty(view.get("buffer", 0)) and find_spec("meshopt") is not None:
            return memoryview(self._unpacked(index, view, packed)), int(view.get("byteStride", 0))
        buffer = self._buffer(view.get("buffer", 0))
        offset, length = int(view.get("byteOffset", 0)), int(view["byteLength"])
        if offset < 0 or length < 0 or offset + length > len(buffer):
            raise ValueError("a buffer view reaches beyond its buffer")
        return memoryview(buffer)[offset:offset + length], int(view.get("byteStride", 0))

    def uri_bytes(self, uri: Any) -> bytes:
        """What a URI stands for: data within the URI itself, or a file in the folder or below it. Unreachable for all else."""
        if not isinstance(uri, str):
            raise TypeError("a URI that is not a string")
        if uri[:5].lower() == "data:":
            return _data_uri(uri)
        path = self._inside(uri)
        try:
            with path.open("rb") as file:
                data = file.read(self._left + 1)
        except OSError as error:
            raise Unreachable(f"{quoted(uri)} cannot be read ({error.strerror})") from error
        if len(data) > self._left:
            raise InputError("the files beside the mesh are too large", received=f"more than {MAX_BYTES >> 20} MiB", expected="less")
        self._left -= len(data)
        if path not in self.sources:
            self.sources.append(path)
        return data

    def _is_empty(self, index: Any) -> bool:
        """Whether a buffer only stands for what is compressed."""
        entry = self.entry("buffers", index)
        return "uri" not in entry and any(name in entry.get("extensions", {}) for name in MESHOPT)

    def _unpacked(self, index: int, view: dict[str, Any], packed: dict[str, Any]) -> bytes:
        """The bytes of a view that meshoptimizer compressed. ValueError for data that it cannot read."""
        if index not in self._views:
            import meshopt

            count, size = int(packed["count"]), int(packed["byteStride"])
            if not (0 <= count and 0 < size <= 256 and count * size == int(view["byteLength"]) <= MAX_BYTES):
                raise ValueError("a compressed buffer view is not as long as it says")
            buffer = self._buffer(packed["buffer"])
            offset, length = int(packed.get("byteOffset", 0)), int(packed["byteLength"])
            if offset < 0 or length < 0 or offset + length > len(buffer):
                raise ValueError("a compressed buffer view reaches beyond its buffer")
            try:
                rows = meshopt.decode_gltf_buffer(buffer[offset:offset + length], count, size, packed["mode"], packed.get("filter"))
            except Exception as error:  # its errors have no class in common
                raise ValueError(f"its meshopt data cannot be decoded ({error})") from error
            self._views[index] = rows.tobytes()
        return self._views[index]

    def _buffer(self, index: Any) -> bytes:
        if index not in self._buffers:
            entry = self.entry("buffers", index)
            if "uri" in entry:
                self._buffers[index] = self.uri_bytes(entry["uri"])
            elif self._is_empty(index):
                raise compressed(MESHOPT[0])
            elif index == 0 and self._chunk:
                self._buffers[0] = self._chunk
            else:
                raise ValueError(f"buffer {index} has no bytes")
        return self._buffers[index]

    def _inside(self, uri: str) -> Path:
        """The file that a relative URI names. Some exporters escape nothing, and some write paths of their own system."""
        if SCHEME.match(uri):
            raise Unreachable(f"{quoted(uri)} is not a file beside the mesh and is not opened")
        home = self.folder.resolve()
        for name in dict.fromkeys((unquote(uri), uri)):
            try:
                path = (self.folder / name.replace("\\", "/")).resolve()
                if not path.is_relative_to(home):
                    raise Unreachable(f"{quoted(uri)} is outside the mesh's folder and is not opened")
                if path.is_file():
                    return path
            except (OSError, RuntimeError):  # a name that is too long for any file, or links in a circle
                continue
            except ValueError as error:
                if isinstance(error, Unreachable):
                    raise
                continue  # a zero byte
        raise Unreachable(f"{quoted(uri)} is not there")


def compressed(extension: str) -> InputError:
    """What is said of geometry that is compressed as `extension` says, for which there is no decoder here."""
    return InputError("the mesh is compressed", received=extension, expected="plain glTF 2.0, or the package meshopt",
                      remedy="save it again without compression, or pip install 'meshwright[meshopt]'")


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    """The JSON and the binary chunk of a GLB file."""
    if len(data) < 20:
        raise ValueError("the file ends early")
    version, total = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise ValueError(f"glTF of version {version}, not 2")
    if total > len(data):
        raise ValueError(f"the file ends early, {total} bytes expected")
    found: dict[bytes, bytes] = {}
    offset = 12
    while offset + 8 <= total:
        length, kind = struct.unpack_from("<I4s", data, offset)
        if offset + 8 + length > total:
            raise ValueError("a chunk is longer than the file")
        found.setdefault(kind, data[offset + 8:offset + 8 + length])
        offset += 8 + length
    return found[b"JSON"], found.get(b"BIN\0", b"")


def _json(text: bytes) -> dict[str, Any]:
    """The document. Some writers begin it with a byte order mark, or pad it with zeros where the specification says spaces."""
    text = text.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0 \t\r\n")
    if not text.lstrip().startswith(b"{"):
        raise ValueError("it does not begin as a GLB or glTF file does")
    document = json.loads(text.decode("utf-8"))
    version = str(document.get("asset", {}).get("version", "2.0"))
    if not version.startswith("2."):
        raise ValueError(f"glTF of version {quoted(version)}, not 2")
    return document


def _data_uri(uri: str) -> bytes:
    """The bytes of `data:[type][;base64],bytes` (RFC 2397). Line breaks and missing padding are forgiven."""
    head, comma, body = uri.partition(",")
    if not comma:
        raise Unreachable("a data URI without data")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    packed = "".join(unquote(body).split()).rstrip("=")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError as error:
        raise Unreachable(f"a data URI is not valid base64 ({error})") from error
