"""ICC profiles built byte by byte (ICC.1:2001-04), so that what each must do can be worked out by hand."""

import struct

import numpy as np

SRGB_PRIMARIES = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))  # XYZ under D50
P3_PRIMARIES = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
D50 = (0.9642, 1.0, 0.8249)


def srgb_curve(count=1024):
    """The curve of sRGB, sampled."""
    x = np.linspace(0, 1, count)
    linear = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return curve(np.rint(linear * 65535).astype(int))


def curve(values):
    """A curveType tag: a single exponent, or samples of 16 bits."""
    if isinstance(values, float):
        return b"curv" + struct.pack(">IIH", 0, 1, round(values * 256))
    return b"curv" + struct.pack(f">II{len(values)}H", 0, len(values), *values)


def rgb_profile(primaries=SRGB_PRIMARIES, tone=None):
    """A display: a matrix and one curve for all channels."""
    tone = srgb_curve() if tone is None else tone
    tags = {name: xyz(value) for name, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    return profile(b"mntr", b"RGB ", b"XYZ ", {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone)})


def grey_profile(tone):
    """A grey display of one curve."""
    return profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": tone})


def ink_profile():
    """A press of two levels an ink: L* is 100 (1 - k) times (1 - (c + m + y) / 3) at the corners, a* and b* are 0."""
    corners = np.array(list(np.ndindex(2, 2, 2, 2)), float)  # c, m, y, k; the last one fastest
    lightness = (1 - corners[:, :3].sum(axis=1) / 3) * (1 - corners[:, 3])
    nodes = np.stack([np.rint(255 * lightness), *[np.full(16, 128)] * 2], axis=1).astype(np.uint8)
    identity = np.arange(256, dtype=np.uint8).tobytes()
    matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + 4 * identity + nodes.tobytes() + 3 * identity
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})


def xyz(value):
    return b"XYZ " + struct.pack(">I3i", 0, *(round(65536 * part) for part in value))


def profile(kind, space, connection, tags):
    """A version 2 profile with the given tags."""
    words = b"test"
    tags = {b"desc": b"desc" + struct.pack(">II", 0, len(words) + 1) + words + bytes(1 + 4 + 4 + 2 + 1 + 67),
            b"cprt": b"text" + bytes(4) + words + b"\0", b"wtpt": xyz(D50), **tags}
    body, table, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(body), bytes(4), 0x02100000, kind, space, connection, bytes(12), b"acsp")
    head += bytes(28) + struct.pack(">3i", *(round(65536 * part) for part in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
