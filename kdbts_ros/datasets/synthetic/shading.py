"""Radiance along one ray: nearest surface, its material, sun with cast shadows, sky light, haze."""

from __future__ import annotations

import math
from typing import NamedTuple

from kdbts_ros.datasets.synthetic.appearance import (
    AMBIENT,
    AMBIENT_BLUE,
    HAZE,
    HORIZON_B,
    HORIZON_G,
    HORIZON_R,
    LEAF_GAPS,
    LEAF_SCALE,
    SUN,
    SUN_WARMTH,
    SUN_X,
    SUN_Y,
    SUN_Z,
    sky,
)
from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.ground import KERB_FACE, heading, hit_ground
from kdbts_ros.datasets.synthetic.ground_surface import ground_albedo
from kdbts_ros.datasets.synthetic.hill import SLOPE, piece, rise
from kdbts_ros.datasets.synthetic.index import Ints, grid_cell
from kdbts_ros.datasets.synthetic.leaves import hit_leaves, leaf_density
from kdbts_ros.datasets.synthetic.primitives import (
    CURVED,
    FOLIAGE,
    KIND,
    LEAVES,
    MATERIAL,
    intersect,
    normal,
)
from kdbts_ros.datasets.synthetic.surfaces import solid_albedo
from kdbts_ros.datasets.synthetic.textures import fade, noise3
from kdbts_ros.density.geometry.camera import Array

Vector = tuple[float, float, float]
SKY, GROUND, KERB_SIDE = -1, -2, -3


class SceneArrays(NamedTuple):
    """What the kernels read of a world; the grids are `ShearedGrid`s along the sun and upwards.

    All of it is of the level street, which `hill` (`Hill.array`) then shifts upwards.
    lamps and room: see interior.py; empty under open sky.
    """

    table: Array
    ground: Array
    hill: Array
    patches: Array
    light: Array
    sun_frame: Array
    sun_starts: Ints
    sun_items: Ints
    up_frame: Array
    up_starts: Ints
    up_items: Ints
    lamps: Array
    room: Array


@kernel
def nearest_hit(
    scene: SceneArrays, items: Ints, nearest: Array, o: Vector, d: Vector
) -> tuple[float, int, int]:
    """Parameter, surface (solid number, SKY, GROUND or KERB_SIDE) and face of the first hit.

    items: solids the ray may meet, by increasing `nearest`, a lower bound of the parameter.
    """
    h = scene.hill
    if h[SLOPE] == 0.0:
        return _straight_hit(scene, items, nearest, o, d, 0.0, 1e30)
    x, passed = o[0], 0.0
    # A slope has two ends: there are three pieces at most.
    for _ in range(3):
        slope, change = piece(h, x, d[0])
        rest = (change - x) / d[0] if abs(d[0]) > 1e-12 and not math.isinf(change) else 1e30
        start = (x, o[1] + passed * d[1], o[2] + passed * d[2] - rise(h, x))
        along = (d[0], d[1], d[2] - slope * d[0])
        t, surface, face = _straight_hit(scene, items, nearest, start, along, passed, rest)
        if surface != SKY:
            return passed + t, surface, face
        if rest >= 1e30:
            break
        x, passed = change, passed + rest
    return 1e30, SKY, 0


@kernel
def _straight_hit(
    scene: SceneArrays,
    items: Ints,
    nearest: Array,
    o: Vector,
    d: Vector,
    passed: float,
    rest: float,
) -> tuple[float, int, int]:
    """As `nearest_hit`, on the level street: of a ray that has come as far as `passed`, from there
    to a parameter of `rest`."""
    best, surface, face = rest, SKY, 0
    t, kind = hit_ground(scene.ground, scene.patches, o[0], o[1], o[2], d[0], d[1], d[2])
    if 0.0 < t < best:
        best, surface = t, (KERB_SIDE if kind == KERB_FACE else GROUND)
    for i in items:
        if nearest[i] > passed + best:
            break
        p = scene.table[i]
        if p[KIND] == LEAVES:
            t, side = hit_leaves(p, o[0], o[1], o[2], d[0], d[1], d[2], best), CURVED
        else:
            t, side = intersect(p, o[0], o[1], o[2], d[0], d[1], d[2])
        if 0.0 < t < best:
            best, surface, face = t, i, side
    return best, surface, face


@kernel
def sun_share(scene: SceneArrays, x: float, y: float, z: float) -> float:
    """Share of direct sunlight that reaches a point: 0 or 1; leaves let flecks of it through."""
    a = scene.light
    kx, ky = a[SUN_X] / a[SUN_Z], a[SUN_Y] / a[SUN_Z]
    cell = grid_cell(scene.sun_frame, x - kx * z, y - ky * z)
    for k in range(scene.sun_starts[cell], scene.sun_starts[cell + 1]):
        p = scene.table[scene.sun_items[k]]
        t, _ = intersect(p, x, y, z, a[SUN_X], a[SUN_Y], a[SUN_Z])
        if t <= 1e-4:
            continue
        if p[MATERIAL] == FOLIAGE:
            s = a[LEAF_SCALE]
            hx, hy, hz = x + t * a[SUN_X], y + t * a[SUN_Y], z + t * a[SUN_Z]
            coarse = noise3(hx * s, hy * s, hz * s, 77)
            if 0.6 * coarse + 0.4 * noise3(hx * s * 3, hy * s * 3, hz * s * 3, 78) < a[LEAF_GAPS]:
                continue
        return 0.0
    return 1.0


@kernel
def height_above(scene: SceneArrays, x: float, y: float, z: float) -> float:
    """How far above a point the lowest thing over it begins, m; 1e30 where there is none."""
    cell = grid_cell(scene.up_frame, x, y)
    lowest = 1e30
    for k in range(scene.up_starts[cell], scene.up_starts[cell + 1]):
        t, _ = intersect(scene.table[scene.up_items[k]], x, y, z, 0.0, 0.0, 1.0)
        if t > 0:
            lowest = min(lowest, t)
    return lowest


@kernel
def sky_share(scene: SceneArrays, x: float, y: float, z: float) -> float:
    """Share of sky light at a ground point: little right under a car, some under a crown."""
    lowest = height_above(scene, x, y, z)
    if lowest < 1.0:
        return 0.12 + 0.3 * lowest
    return 1.0 if lowest > 20.0 else 0.55 + 0.02 * lowest


@kernel
def radiance(
    scene: SceneArrays, o: Vector, d: Vector, t: float, surface: int, face: int, pixel: float
) -> Vector:
    """Linear r, g, b of a hit; pixel: angle of a pixel, rad; d has z-depth 1, o and t in m."""
    a = scene.light
    length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    vx, vy, vz = d[0] / length, d[1] / length, d[2] / length
    if surface == SKY:
        return sky(a, vx, vy, vz)
    x, y, z = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
    # Light falls as on the level street.
    z -= rise(scene.hill, x)
    open_sky, gloss = 1.0, 0.0
    if surface >= 0:
        nx, ny, nz = normal(scene.table[surface], x, y, z, face)
        facing = max(0.15, -(nx * vx + ny * vy + nz * vz))
        r, g, b, gloss = solid_albedo(scene.table[surface], x, y, z, face, pixel * t / facing)
        if scene.table[surface, MATERIAL] == FOLIAGE:
            nx, ny, nz, open_sky = _leaf_light(scene.table[surface], x, y, z, nx, ny, nz, pixel * t)
        else:
            open_sky = 0.6 + 0.4 * nz
    elif surface == KERB_SIDE:
        slope = heading(scene.ground, x)
        nx, ny, nz = slope, -1.0 if y > 0 else 1.0, 0.0
        r, g, b = ground_albedo(scene.ground, scene.patches, x, y, KERB_FACE, pixel * t)
        open_sky = 0.5
    else:
        nx, ny, nz = 0.0, 0.0, 1.0
        # Grazing view: the footprint is long along the ray; half of it balances blur and flicker.
        footprint = pixel * t * math.sqrt(1.0 / max(0.02, -vz))
        r, g, b = ground_albedo(scene.ground, scene.patches, x, y, 0, footprint)
        open_sky = sky_share(scene, x, y, z)
    direct = 0.0
    slant = nx * a[SUN_X] + ny * a[SUN_Y] + nz * a[SUN_Z]
    if slant > 0.0 and a[SUN] > 0.0:
        direct = a[SUN] * min(slant, 1.0)
        direct *= sun_share(scene, x + 1e-3 * nx, y + 1e-3 * ny, z + 1e-3 * nz)
    ambient = a[AMBIENT] * open_sky
    r *= direct * (1 + a[SUN_WARMTH]) + ambient * (1 - a[AMBIENT_BLUE])
    g *= direct + ambient
    b *= direct * (1 - a[SUN_WARMTH]) + ambient * (1 + a[AMBIENT_BLUE])
    if gloss > 0.0:
        r, g, b = _add_mirror(a, r, g, b, gloss, vx, vy, vz, nx, ny, nz)
    clear = math.exp(-t * a[HAZE])
    veil = 0.35 * (1.0 - clear)
    return (
        r * clear + veil * a[HORIZON_R],
        g * clear + veil * a[HORIZON_G],
        b * clear + veil * a[HORIZON_B],
    )


@kernel
def _leaf_light(
    p: Array, x: float, y: float, z: float, nx: float, ny: float, nz: float, footprint: float
) -> tuple[float, float, float, float]:
    """Normal (not unit) and share of sky light of a leaf: leaves point anywhere, gaps are dark."""
    clear = fade(9.0, footprint)
    u = 2.0 * clear * (noise3(x * 9, y * 9, z * 9, 31) - 0.5)
    v = 2.0 * clear * (noise3(x * 9, y * 9, z * 9, 32) - 0.5)
    shade = 0.75
    if p[KIND] == LEAVES:
        # How much foliage lies just outside this point decides how much sky it sees.
        reach = 0.35
        above = leaf_density(p, x + reach * nx, y + reach * ny, z + reach * (nz + 0.6))
        shade = min(1.0, max(0.15, 0.75 - 3.0 * above))
    open_sky = shade * (0.3 + 0.35 * (1.0 + nz)) * (1.0 + 0.9 * u)
    keep = 0.6 * shade
    return keep * nx + u, keep * ny + v, keep * nz + 0.15 + 0.4 * u, max(0.08, open_sky)


@kernel
def _add_mirror(
    a: Array, r: float, g: float, b: float, gloss: float,
    vx: float, vy: float, vz: float, nx: float, ny: float, nz: float,
) -> Vector:  # fmt: skip
    """Add the mirrored sky (or a dark street below the horizon), stronger at grazing angles."""
    facing = -(vx * nx + vy * ny + vz * nz)
    mx, my, mz = vx + 2 * facing * nx, vy + 2 * facing * ny, vz + 2 * facing * nz
    share = gloss * (0.2 + 0.8 * (1.0 - max(0.0, facing)) ** 4)
    # Houses and trees stand around: the mirrored horizon is dark up to about 15 degrees.
    seen = min(1.0, max(0.0, (mz - 0.12) * 5.0))
    sr, sg, sb = sky(a, mx, my, max(mz, 0.0))
    # Curved panes spread the mirrored sky: it is never as bright as the sky itself.
    dim = 1.0 / (1.0 + 0.35 * sg)
    sr, sg, sb = 0.5 * (sr + sg) * dim, sg * dim, 0.5 * (sb + sg) * dim
    street = 0.15 * (a[SUN] * a[SUN_Z] * 0.5 + a[AMBIENT])
    return (
        r + share * (sr * seen + street * (1 - seen)),
        g + share * (sg * seen + street * (1 - seen)),
        b + share * (sb * seen + street * (1 - seen)),
    )
