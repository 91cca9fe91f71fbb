"""Exact signed distance of unions of primitives, and sphere tracing, compiled with numba.

A prop is a float32 array (n, 24), a primitive a row:

    0 kind | 1:10 rotation, row-major, local -> world | 10:13 centre | 13:17 sizes | 17 rounding
    18:21 sRGB colour | 21 bounding radius | 22 part slot | 23 unused

Distances are negative inside. A union's distance is exact outside and a bound inside, as for every union by minimum.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit, prange

BOX, CONE, TORUS, TUBE, CAPSULE, ELLIPSOID, PRISM = range(7)
COLUMNS = 24

LIGHT = np.array([0.35, 0.5, 0.8]) / np.linalg.norm([0.35, 0.5, 0.8])
AMBIENT, DIFFUSE = 0.55, 0.45


@njit(fastmath=True, cache=True, inline="always")
def _box2(x, y, hx, hy):
    dx, dy = abs(x) - hx, abs(y) - hy
    ox, oy = max(dx, 0.0), max(dy, 0.0)
    return np.sqrt(ox * ox + oy * oy) + min(max(dx, dy), 0.0)


@njit(fastmath=True, cache=True)
def _capped_cone(radius, z, half, bottom, top):
    """Distance in the (radius, z) half-plane to a cone frustum (exact)."""
    cap = bottom if z < 0.0 else top
    ax, ay = radius - min(radius, cap), abs(z) - half
    ex, ey = top - bottom, 2.0 * half
    t = ((top - radius) * ex + (half - z) * ey) / (ex * ex + ey * ey)
    t = min(max(t, 0.0), 1.0)
    bx, by = radius - top + ex * t, z - half + ey * t
    sign = -1.0 if (bx < 0.0 and ay < 0.0) else 1.0
    return sign * np.sqrt(min(ax * ax + ay * ay, bx * bx + by * by))


@njit(fastmath=True, cache=True)
def _triangle(x, z, half_base, height):
    """Distance to the isosceles triangle with base at -height/2 and apex at +height/2 (exact)."""
    x, z = abs(x), height * 0.5 - z
    t = min(max((x * half_base + z * height) / (half_base * half_base + height * height), 0.0), 1.0)
    ax, az = x - half_base * t, z - height * t
    u = min(max(x / half_base, 0.0), 1.0)
    bx, bz = x - half_base * u, z - height
    inside = x * height - z * half_base < 0.0 and z < height
    d = np.sqrt(min(ax * ax + az * az, bx * bx + bz * bz))
    return -d if inside else d


@njit(fastmath=True, cache=True)
def _primitive(kind, x, y, z, a, b, c, rounding):
    if kind == BOX:
        dx, dy, dz = abs(x) - a + rounding, abs(y) - b + rounding, abs(z) - c + rounding
        ox, oy, oz = max(dx, 0.0), max(dy, 0.0), max(dz, 0.0)
        return np.sqrt(ox * ox + oy * oy + oz * oz) + min(max(dx, max(dy, dz)), 0.0) - rounding
    if kind == CONE:
        r = np.sqrt(x * x + y * y)
        return _capped_cone(r, z, a - rounding, max(b - rounding, 1e-4), max(c - rounding, 1e-4)) - rounding
    if kind == TORUS:
        r = np.sqrt(x * x + y * y) - a
        return np.sqrt(r * r + z * z) - b
    if kind == TUBE:
        return _box2(np.sqrt(x * x + y * y) - a, z, b - rounding, c - rounding) - rounding
    if kind == CAPSULE:
        w = z - min(max(z, -a), a)
        return np.sqrt(x * x + y * y + w * w) - b
    if kind == ELLIPSOID:
        k0 = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
        k1 = np.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
        return k0 * (k0 - 1.0) / max(k1, 1e-6) if k0 > 1e-3 else -min(a, min(b, c))
    d2, dy = _triangle(x, z, a, b), abs(y) - c
    o1, o2 = max(d2, 0.0), max(dy, 0.0)
    return np.sqrt(o1 * o1 + o2 * o2) + min(max(d2, dy), 0.0)


@njit(fastmath=True, cache=True)
def _row_distance(row, px, py, pz):
    qx, qy, qz = px - row[10], py - row[11], pz - row[12]
    x = row[1] * qx + row[4] * qy + row[7] * qz
    y = row[2] * qx + row[5] * qy + row[8] * qz
    z = row[3] * qx + row[6] * qy + row[9] * qz
    return _primitive(int(row[0]), x, y, z, row[13], row[14], row[15], row[17])


@njit(fastmath=True, cache=True)
def _distance(prop, px, py, pz):
    """Distance to the union and the index of the nearest primitive."""
    best, nearest = 1e9, 0
    for i in range(prop.shape[0]):
        row = prop[i]
        qx, qy, qz = px - row[10], py - row[11], pz - row[12]
        reach = best + row[21]
        if reach > 0.0 and qx * qx + qy * qy + qz * qz > reach * reach:
            continue
        d = _row_distance(row, px, py, pz)
        if d < best:
            best, nearest = d, i
    return best, nearest


@njit(parallel=True, fastmath=True, cache=True)
def distances(prop, points):
    """Signed distance (n,) float32 and nearest primitive (n,) int32 of world points (n, 3) float32."""
    n = points.shape[0]
    out, index = np.empty(n, np.float32), np.empty(n, np.int32)
    for i in prange(n):
        out[i], index[i] = _distance(prop, points[i, 0], points[i, 1], points[i, 2])
    return out, index


@njit(fastmath=True, cache=True)
def _normal(prop, i, px, py, pz):
    e, row = 1e-3, prop[i]
    nx = _row_distance(row, px + e, py, pz) - _row_distance(row, px - e, py, pz)
    ny = _row_distance(row, px, py + e, pz) - _row_distance(row, px, py - e, pz)
    nz = _row_distance(row, px, py, pz + e) - _row_distance(row, px, py, pz - e)
    s = 1.0 / max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
    return nx * s, ny * s, nz * s


@njit(parallel=True, fastmath=True, cache=True)
def project_to_surface(prop, points, steps):
    """Move points (n, 3) float32 onto the surface along the distance gradient, in place."""
    for k in prange(points.shape[0]):
        for _ in range(steps):
            d, i = _distance(prop, points[k, 0], points[k, 1], points[k, 2])
            nx, ny, nz = _normal(prop, i, points[k, 0], points[k, 1], points[k, 2])
            points[k, 0] -= d * nx
            points[k, 1] -= d * ny
            points[k, 2] -= d * nz


@njit(fastmath=True, cache=True)
def _shade(prop, ox, oy, oz, dx, dy, dz, near, far, light):
    """Shaded sRGB colour along one ray, black where it misses, and the index of what it hit (-1 for nothing)."""
    t = near
    for _ in range(48):
        px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
        d, i = _distance(prop, px, py, pz)
        if d < 1.5e-3:
            nx, ny, nz = _normal(prop, i, px, py, pz)
            s = light[3] + light[4] * max(0.0, nx * light[0] + ny * light[1] + nz * light[2])
            g = 0.0
            if light[5] > 0.0:
                hx, hy, hz = light[0] - dx, light[1] - dy, light[2] - dz
                g = (nx * hx + ny * hy + nz * hz) / max(np.sqrt(hx * hx + hy * hy + hz * hz), 1e-6)
                g = light[5] * max(0.0, g) ** 24
            return prop[i, 18] * s + g, prop[i, 19] * s + g, prop[i, 20] * s + g, i
        t += d
        if t > far:
            break
    return 0.0, 0.0, 0.0, -1


@njit(parallel=True, fastmath=True, cache=True)
def _trace(prop, c2w, size, tan_half, radius, light, image, hit):
    for k in prange(c2w.shape[0] * size):
        v, row = k // size, k % size
        m = c2w[v]
        for col in range(size):
            for s in range(image.shape[3]):
                # hit holds -2 where a pixel is still to be drawn with four samples
                if image.shape[3] == 4 and hit[v, row, col] != -2:
                    continue
                jx = 0.5 if image.shape[3] == 1 else 0.25 + 0.5 * (s % 2)
                jy = 0.5 if image.shape[3] == 1 else 0.25 + 0.5 * (s // 2)
                x = (2.0 * (col + jx) / size - 1.0) * tan_half
                y = (1.0 - 2.0 * (row + jy) / size) * tan_half
                norm = 1.0 / np.sqrt(x * x + y * y + 1.0)
                dx = (m[0, 0] * x + m[0, 1] * y - m[0, 2]) * norm
                dy = (m[1, 0] * x + m[1, 1] * y - m[1, 2]) * norm
                dz = (m[2, 0] * x + m[2, 1] * y - m[2, 2]) * norm
                ox, oy, oz = m[0, 3], m[1, 3], m[2, 3]
                b = ox * dx + oy * dy + oz * dz
                disc = b * b - (ox * ox + oy * oy + oz * oz) + radius * radius
                r, g, bl, i = 0.0, 0.0, 0.0, -1
                if disc > 0.0:
                    root = np.sqrt(disc)
                    r, g, bl, i = _shade(prop, ox, oy, oz, dx, dy, dz, -b - root, -b + root, light)
                image[v, row, col, s, 0] = r
                image[v, row, col, s, 1] = g
                image[v, row, col, s, 2] = bl
                image[v, row, col, s, 3] = 1.0 if i >= 0 else 0.0
                if image.shape[3] == 1:
                    hit[v, row, col] = i


@dataclass(frozen=True)
class Light:
    """direction : towards the light, world axes; ambient + diffuse * cosine multiplies the colour, and gloss is added to it."""

    direction: tuple[float, float, float] = tuple(LIGHT)
    ambient: float = AMBIENT
    diffuse: float = DIFFUSE
    gloss: float = 0.0

    def packed(self) -> np.ndarray:
        """(6,) float32 as the tracer reads it."""
        direction = np.asarray(self.direction) / np.linalg.norm(self.direction)
        return np.array([*direction, self.ambient, self.diffuse, self.gloss], np.float32)


def render(prop: np.ndarray, c2w: np.ndarray, size: int, fov: float = 30.0) -> np.ndarray:
    """Views (n, size, size, 3) float32 sRGB in [0, 1] on white, for cameras c2w (n, 4, 4) in OpenGL axes."""
    image = render_rgba(prop, c2w, size, fov)
    return image[..., :3] + (1 - image[..., 3:])


def render_rgba(prop: np.ndarray, c2w: np.ndarray, size: int, fov: float = 30.0, light: Light | None = None) -> np.ndarray:
    """The same without a background: (n, size, size, 4) float32, colour multiplied by coverage, and coverage in [0, 1].

    One sample a pixel, and four where neighbouring pixels saw different primitives or background. Gloss may pass 1.
    """
    n, tan_half = len(c2w), float(np.tan(np.radians(fov) / 2))
    c2w, packed = np.ascontiguousarray(c2w, dtype=np.float32), (light or Light()).packed()
    radius = float(np.max(np.linalg.norm(prop[:, 10:13], axis=1) + prop[:, 21]))
    hit = np.full((n, size, size), -1, np.int32)
    single = np.zeros((n, size, size, 1, 4), np.float32)
    _trace(prop, c2w, size, tan_half, radius, packed, single, hit)
    image, edge = single[..., 0, :], np.zeros(hit.shape, bool)
    for axis in (1, 2):
        differs = np.diff(hit, axis=axis) != 0
        edge |= np.pad(differs, [(0, 1) if a == axis else (0, 0) for a in range(3)])
        edge |= np.pad(differs, [(1, 0) if a == axis else (0, 0) for a in range(3)])
    hit[edge] = -2
    four = np.zeros((n, size, size, 4, 4), np.float32)
    _trace(prop, c2w, size, tan_half, radius, packed, four, hit)
    image[edge] = four[edge].mean(axis=1)
    return image
