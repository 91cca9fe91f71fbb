"""Twenty families of game props. Each function fills a `Builder` from a seeded generator; the front of a prop is +x, up is +z.

Slots: 0 the main colour, 1 the second colour (the part named in `SECOND_PART`), 2 to 4 small details in fixed colours.
"""

import numpy as np

from .shapes import Builder, turn

DARK, LIGHT, WARM = 2, 3, 4

# Turns a prism's apex to the front and its extrusion upwards.
FORWARD = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _legs(b, rng, half_x, half_y, top, radius, slot=1):
    square, splay = rng.random() < 0.5, rng.uniform(0.0, 0.12)
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = sx * (half_x - radius), sy * (half_y - radius)
            if square:
                b.box((radius, radius, top / 2), (x, y, top / 2), slot)
            else:
                b.limb((x * (1 + splay), y * (1 + splay), 0), (x, y, top), radius * 0.95, slot, radius * 1.1)


def chair(b, rng):
    w, d, h = rng.uniform(0.38, 0.55), rng.uniform(0.38, 0.52), rng.uniform(0.55, 0.9)
    t, back = rng.uniform(0.06, 0.1), rng.uniform(0.6, 1.1)
    b.box((d, w, t), (0, 0, h))
    _legs(b, rng, d, w, h, rng.uniform(0.06, 0.09))
    if rng.random() < 0.6:
        b.box((0.07, w, back / 2), (-d + 0.07, 0, h + back / 2))
    else:
        for y in (-w + 0.07, w - 0.07):
            b.box((0.07, 0.07, back / 2), (-d + 0.07, y, h + back / 2))
        for z in np.linspace(0.45, 0.88, 2):
            b.box((0.06, w, 0.1), (-d + 0.07, 0, h + back * z))
    if rng.random() < 0.3:
        for y in (-w + 0.06, w - 0.06):
            b.box((d, 0.06, 0.06), (0, y, h + 0.42))
            b.box((0.06, 0.06, 0.2), (d - 0.1, y, h + 0.22))


def stool(b, rng):
    r, h, t = rng.uniform(0.4, 0.6), rng.uniform(0.6, 1.2), rng.uniform(0.07, 0.14)
    b.cylinder(t, r, (0, 0, h), 0, rounding=0.04)
    n, leg, out = rng.integers(3, 5), rng.uniform(0.06, 0.085), rng.uniform(0.85, 1.1)
    for a in np.arange(n) * 2 * np.pi / n + np.pi / 4:
        c, s = np.cos(a), np.sin(a)
        b.limb((r * out * c, r * out * s, 0), (r * 0.65 * c, r * 0.65 * s, h), leg, 1)
    if rng.random() < 0.4:
        b.torus(r * 0.8, 0.045, (0, 0, h * 0.4), 1)


def table(b, rng):
    h, t = rng.uniform(0.6, 0.95), rng.uniform(0.06, 0.1)
    if rng.random() < 0.4:
        r = rng.uniform(0.6, 0.9)
        b.cylinder(t, r, (0, 0, h))
        b.cylinder(h / 2, rng.uniform(0.09, 0.16), (0, 0, h / 2), 1)
        b.cone(0.07, r * 0.6, r * 0.45, (0, 0, 0.07), 1)
    else:
        x, y = rng.uniform(0.45, 0.65), rng.uniform(0.7, 1.0)
        b.box((x, y, t), (0, 0, h))
        _legs(b, rng, x, y, h, rng.uniform(0.065, 0.1))


def lamp(b, rng):
    h, r = rng.uniform(0.9, 1.6), rng.uniform(0.4, 0.55)
    b.cone(0.07, r * 0.8, r * 0.6, (0, 0, 0.07), 1)
    b.cylinder(h / 2, rng.uniform(0.055, 0.09), (0, 0, h / 2), 1)
    if rng.random() < 0.4:
        b.sphere(rng.uniform(0.16, 0.24), (0, 0, h * 0.3), 1)
    half = rng.uniform(0.22, 0.36)
    b.cone(half, r, r * rng.uniform(0.35, 0.75), (0, 0, h + half * 0.6), 0)


def mug(b, rng):
    r, h, wall = rng.uniform(0.4, 0.55), rng.uniform(0.4, 0.65), rng.uniform(0.045, 0.07)
    b.tube(r - wall, wall, h, (0, 0, 0))
    b.cylinder(0.06, r - wall, (0, 0, -h + 0.06))
    ring = rng.uniform(0.24, 0.34)
    b.torus(ring, rng.uniform(0.06, 0.085), (0, r + ring * 0.45, 0), 1, turn("y", 90))
    if rng.random() < 0.35:
        b.tube(r - 0.01, 0.03, h * 0.2, (0, 0, rng.uniform(-0.3, 0.3) * h), 1)


def bottle(b, rng):
    r, h, neck = rng.uniform(0.28, 0.45), rng.uniform(0.45, 0.75), rng.uniform(0.1, 0.15)
    shoulder, up = rng.uniform(0.12, 0.22), rng.uniform(0.15, 0.3)
    b.cylinder(h, r, (0, 0, h), 0, rounding=0.05)
    b.cone(shoulder, r * 0.97, neck, (0, 0, 2 * h + shoulder - 0.03), 0)
    b.cylinder(up, neck, (0, 0, 2 * (h + shoulder) + up - 0.08), 0)
    b.cylinder(0.09, neck + 0.035, (0, 0, 2 * (h + shoulder + up) - 0.06), 1)
    if rng.random() < 0.6:
        b.tube(r, 0.02, h * rng.uniform(0.3, 0.5), (0, 0, h), 1)


def house(b, rng):
    x, y, h, roof = rng.uniform(0.5, 0.75), rng.uniform(0.5, 0.8), rng.uniform(0.35, 0.6), rng.uniform(0.45, 0.85)
    b.box((x, y, h), (0, 0, h), 0, rounding=0.01)
    flat = turn("z", 0 if rng.random() < 0.5 else 90)
    a, d = (x, y) if flat[0, 0] > 0.5 else (y, x)
    b.prism(a * 1.18, roof, d * 1.1, (0, 0, 2 * h + roof / 2 - 0.02), 1, flat)
    side = rng.choice([-0.5, 0.0, 0.5]) * y
    b.box((0.05, 0.14, 0.24), (x, side, 0.24), WARM)
    for yy in (-0.55 * y, 0.55 * y):
        if abs(yy - side) > 0.3:
            b.box((0.04, 0.12, 0.12), (x, yy, h * 1.2), LIGHT)
    for xx in (-0.4 * x, 0.4 * x):
        for s in (-1, 1):
            b.box((0.11, 0.04, 0.12), (xx, s * y, h * 1.15), LIGHT)
    if rng.random() < 0.5:
        b.box((0.09, 0.09, 0.3), (-0.35 * x, 0.4 * y, 2 * h + roof * 0.65), WARM)


def tower(b, rng):
    r, h = rng.uniform(0.3, 0.42), rng.uniform(0.7, 1.1)
    b.cone(h, r * rng.uniform(1.0, 1.25), r, (0, 0, h), 0)
    b.cylinder(0.1, r * 1.25, (0, 0, 2 * h), 0)
    if rng.random() < 0.65:
        roof = rng.uniform(0.25, 0.45)
        b.cone(roof, r * 1.35, 0.02, (0, 0, 2 * h + 0.08 + roof), 1)
    else:
        for a in np.arange(6) * np.pi / 3:
            b.box((0.1, 0.1, 0.12), (r * 1.1 * np.cos(a), r * 1.1 * np.sin(a), 2 * h + 0.18), 1, turn("z", np.degrees(a)))
    b.box((0.08, 0.13, 0.22), (r * 1.08, 0, 0.22), WARM)
    for z in (1.0, 1.5):
        b.box((0.06, 0.07, 0.12), (r * 1.02, 0, h * z), DARK)


def round_tree(b, rng):
    h, r = rng.uniform(0.45, 0.85), rng.uniform(0.42, 0.6)
    b.cone(h / 2 + 0.15, rng.uniform(0.12, 0.18), 0.1, (0, 0, h / 2 + 0.15), 1)
    b.ellipsoid((r, r, r * rng.uniform(0.85, 1.2)), (0, 0, h + r * 0.8))
    for _ in range(rng.integers(0, 4)):
        a, s = rng.uniform(0, 2 * np.pi), r * rng.uniform(0.5, 0.7)
        b.sphere(s, (r * 0.6 * np.cos(a), r * 0.6 * np.sin(a), h + r * rng.uniform(0.4, 1.1)))


def pine(b, rng):
    n, r, h = rng.integers(2, 5), rng.uniform(0.45, 0.65), rng.uniform(0.28, 0.4)
    b.cylinder(0.25, rng.uniform(0.1, 0.15), (0, 0, 0.25), 1)
    for i in range(n):
        s = 1.0 - 0.62 * i / n
        b.cone(h, r * s, r * s * 0.25 if i < n - 1 else 0.02, (0, 0, 0.4 + h + i * h * 1.15))


def mushroom(b, rng):
    h, r = rng.uniform(0.75, 1.15), rng.uniform(0.5, 0.7)
    b.cone(h / 2 + 0.1, rng.uniform(0.18, 0.28), rng.uniform(0.14, 0.2), (0, 0, h / 2 + 0.1), 1)
    dome = r * rng.uniform(0.4, 0.6)
    b.ellipsoid((r, r, dome), (0, 0, h + 0.05))
    b.cone(dome * 0.6, r * 0.98, r * 0.7, (0, 0, h + dome * 0.4), 0, rounding=0.05)
    for a in np.arange(rng.integers(0, 2) * 5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        e = rng.uniform(0.5, 0.8)
        b.sphere(0.12, (r * np.cos(a) * np.cos(e), r * np.sin(a) * np.cos(e), h + 0.05 + dome * np.sin(e)), 1)


def barrel(b, rng):
    h, mid, end = rng.uniform(0.5, 0.7), rng.uniform(0.42, 0.58), rng.uniform(0.75, 0.88)
    for s in (-1, 1):
        lower, upper = (end * mid, mid) if s < 0 else (mid, end * mid)
        b.cone(h / 2, lower, upper, (0, 0, s * h / 2), 0, rounding=0.0)
    for z in (-0.62, 0.62):
        radius = mid * (1 - (1 - end) * 0.62)
        b.tube(radius, 0.035, 0.065, (0, 0, z * h), 1)
    if rng.random() < 0.5:
        b.tube(mid, 0.035, 0.06, (0, 0, 0), 1)


def crate(b, rng):
    x, y, z = rng.uniform(0.4, 0.6, 3)
    if rng.random() < 0.5:
        x = y = z
    b.box((x, y, z), (0, 0, 0), 0, rounding=0.0)
    e = rng.uniform(0.07, 0.1)
    for s in (-1, 1):
        for t in (-1, 1):
            b.box((e, e, z + e * 0.4), (s * (x - e * 0.6), t * (y - e * 0.6), 0), 1)
            b.box((e, y, e), (s * (x - e * 0.6), 0, t * (z - e * 0.6)), 1)
            b.box((x, e, e), (0, s * (y - e * 0.6), t * (z - e * 0.6)), 1)


def sword(b, rng):
    length, w, t = rng.uniform(0.6, 0.9), rng.uniform(0.12, 0.18), rng.uniform(0.06, 0.085)
    b.box((t, w, length), (0, 0, length), 0, rounding=0.03)
    b.prism(w, w * 2.2, t, (0, 0, 2 * length + w * 1.0), 0, turn("z", 90))
    b.box((0.08, rng.uniform(0.3, 0.45), 0.07), (0, 0, 0), 1)
    grip = rng.uniform(0.18, 0.28)
    b.cylinder(grip, 0.08, (0, 0, -grip), 1)
    b.sphere(rng.uniform(0.1, 0.14), (0, 0, -2 * grip - 0.04), 1)


def hammer(b, rng):
    h, r, half = rng.uniform(0.6, 0.85), rng.uniform(0.16, 0.28), rng.uniform(0.32, 0.5)
    b.cylinder(h, rng.uniform(0.065, 0.09), (0, 0, h), 1)
    if rng.random() < 0.5:
        b.cylinder(half, r, (0, 0, 2 * h), 0, turn("x", 90))
    else:
        b.box((r, half, r), (0, 0, 2 * h))
    if rng.random() < 0.4:
        b.cylinder(0.12, 0.11, (0, 0, 0.12), 1)


def rocket(b, rng):
    r, h, nose = rng.uniform(0.26, 0.38), rng.uniform(0.55, 0.8), rng.uniform(0.22, 0.38)
    b.cylinder(h, r, (0, 0, h), 0)
    b.cone(nose, r, 0.03, (0, 0, 2 * h + nose - 0.02), 1)
    b.cone(0.1, r * 0.8, r * 0.5, (0, 0, -0.08), DARK)
    n, fin = rng.integers(3, 5), rng.uniform(0.24, 0.36)
    for a in np.arange(n) * 360 / n:
        c, s = np.cos(np.radians(a)), np.sin(np.radians(a))
        b.prism(fin, fin * 2.2, 0.055, (c * r, s * r, fin * 0.9), 1, turn("z", a))
    b.cylinder(0.05, r * 0.42, (r, 0, h * 1.35), LIGHT, turn("y", 90))


def car(b, rng):
    x, y, h = rng.uniform(0.75, 1.0), rng.uniform(0.36, 0.46), rng.uniform(0.15, 0.22)
    wheel = rng.uniform(0.17, 0.24)
    z = wheel + h * 0.6
    b.box((x, y, h), (0, 0, z), 0, rounding=0.06)
    cabin, shift = x * rng.uniform(0.42, 0.6), -x * rng.uniform(0.05, 0.25)
    b.box((cabin, y * 0.88, 0.17), (shift, 0, z + h + 0.12), 0, rounding=0.06)
    b.box((cabin * 0.72, y * 0.91, 0.1), (shift, 0, z + h + 0.14), DARK)
    b.box((cabin * 1.02, y * 0.7, 0.1), (shift, 0, z + h + 0.14), DARK)
    for sx in (-0.6, 0.6):
        for sy in (-1, 1):
            b.cylinder(0.08, wheel, (sx * x, sy * y, wheel), 1, turn("x", 90))
    for sy in (-1, 1):
        b.sphere(0.07, (x, sy * y * 0.65, z + 0.03), LIGHT)


def boat(b, rng):
    x, y, h = rng.uniform(0.6, 0.8), rng.uniform(0.28, 0.38), rng.uniform(0.15, 0.22)
    b.box((x, y, h), (0, 0, 0), 0, rounding=0.05)
    b.prism(y, y * 1.6, h, (x + y * 0.74, 0, 0), 0, FORWARD)
    mast = rng.uniform(0.5, 0.75)
    b.cylinder(mast, 0.055, (0.05, 0, h + mast), WARM)
    if rng.random() < 0.6:
        b.prism(rng.uniform(0.4, 0.55), mast * 1.5, 0.05, (0, 0, h + mast * 1.1), 1)
    else:
        b.box((0.05, rng.uniform(0.4, 0.55), mast * 0.6), (0.1, 0, h + mast * 1.2), 1)


def snowman(b, rng):
    r, ratio = rng.uniform(0.5, 0.6), rng.uniform(0.68, 0.78)
    z, s = 0.0, r
    for i in range(3):
        b.sphere(s, (0, 0, z))
        last, s = s, s * ratio
        if i < 2:
            z += last * 0.75 + s * 0.75
    s = last
    b.cone(0.16, 0.07, 0.02, (s + 0.1, 0, z), WARM, turn("y", 90))
    for y in (-0.35, 0.35):
        b.sphere(0.055, (s * 0.88, y * s, z + s * 0.35), DARK)
    b.cylinder(0.04, s * 1.05, (0, 0, z + s * 0.75), 1)
    b.cylinder(rng.uniform(0.14, 0.24), s * 0.7, (0, 0, z + s + 0.08), 1)


def robot(b, rng):
    x, y, h = rng.uniform(0.22, 0.32), rng.uniform(0.32, 0.42), rng.uniform(0.32, 0.45)
    leg = rng.uniform(0.2, 0.32)
    b.box((x, y, h), (0, 0, 2 * leg + h), 0, rounding=0.05)
    head = rng.uniform(0.2, 0.28)
    top = 2 * (leg + h) + head + 0.05
    b.cylinder(0.08, 0.1, (0, 0, 2 * (leg + h)), 1)
    b.box((head, head * 1.2, head), (0, 0, top), 0, rounding=0.05)
    for s in (-1, 1):
        b.box((0.11, 0.1, leg), (0, s * y * 0.5, leg), 1)
        b.box((0.09, 0.09, h * 0.9), (0, s * (y + 0.1), 2 * leg + h * 1.0), 1)
        b.sphere(0.07, (head, s * head * 0.5, top + 0.04), LIGHT)
    if rng.random() < 0.5:
        b.cylinder(0.12, 0.045, (0, 0, top + head + 0.1), 1)
        b.sphere(0.08, (0, 0, top + head + 0.24), WARM)
    b.box((0.04, y * 0.5, h * 0.4), (x, 0, 2 * leg + h * 1.15), DARK)


FAMILIES = {
    "chair": chair, "stool": stool, "table": table, "lamp": lamp, "mug": mug, "bottle": bottle, "house": house, "tower": tower,
    "round tree": round_tree, "pine": pine, "mushroom": mushroom, "barrel": barrel, "crate": crate, "sword": sword,
    "hammer": hammer, "rocket": rocket, "car": car, "boat": boat, "snowman": snowman, "robot": robot,
}

SECOND_PART = {
    "chair": "legs", "stool": "legs", "table": "legs", "lamp": "base", "mug": "handle", "bottle": "cap", "house": "roof", "tower": "top",
    "round tree": "trunk", "pine": "trunk", "mushroom": "stem", "barrel": "hoops", "crate": "frame", "sword": "grip",
    "hammer": "handle", "rocket": "fins", "car": "wheels", "boat": "sail", "snowman": "hat", "robot": "arms",
}

# What these things usually look like, so that a prompt without a colour gets a plausible one.
USUAL = {
    "chair": ("brown", "brown"), "stool": ("brown", "brown"), "table": ("brown", "brown"),
    "lamp": ("yellow", "black"), "mug": ("white", "white"),
    "bottle": ("green", "red"), "house": ("beige", "red"), "tower": ("gray", "red"),
    "round tree": ("green", "brown"), "pine": ("green", "brown"),
    "mushroom": ("red", "white"),
    "barrel": ("brown", "gray"), "crate": ("brown", "brown"), "sword": ("gray", "brown"),
    "hammer": ("gray", "brown"), "rocket": ("white", "red"), "car": ("red", "black"), "boat": ("brown", "white"),
    "snowman": ("white", "black"), "robot": ("gray", "gray"),
}


def build(family: str, colors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One prop of `family` as the array of `sdf` (n, 24) float32; colors (5, 3) sRGB, one a slot."""
    builder = Builder()
    FAMILIES[family](builder, rng)
    return builder.finish(colors)
