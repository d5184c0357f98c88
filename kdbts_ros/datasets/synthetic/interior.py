"""Radiance along one ray where lamps light: halls, rooms, and what is seen of the day outside.

Lamps are points, or small panels that shine to one side; the two that give a point most light cast
shadows. Floors and lacquer mirror one ray, glass lets it on. A pane is a solid like any other:
depth ends at it, whatever is seen through it.
"""

from __future__ import annotations

import math

from kdbts_ros.datasets.synthetic.appearance import (
    HORIZON_B,
    HORIZON_G,
    HORIZON_R,
    SUN,
    SUN_WARMTH,
    SUN_X,
    SUN_Y,
    SUN_Z,
    sky,
)
from kdbts_ros.datasets.synthetic.compiled import kernel
from kdbts_ros.datasets.synthetic.ground import hit_ground
from kdbts_ros.datasets.synthetic.ground_surface import ground_albedo
from kdbts_ros.datasets.synthetic.index import grid_cell
from kdbts_ros.datasets.synthetic.indoor_surfaces import GLASS, LAMP
from kdbts_ros.datasets.synthetic.leaves import hit_leaves
from kdbts_ros.datasets.synthetic.primitives import (
    BLUE,
    CONTRAST,
    CURVED,
    CZ,
    GREEN,
    HZ,
    KIND,
    LEAVES,
    MATERIAL,
    PERIOD,
    RED,
    TOP,
    intersect,
    normal,
)
from kdbts_ros.datasets.synthetic.shading import (
    GROUND,
    SKY,
    SceneArrays,
    Vector,
    height_above,
)
from kdbts_ros.datasets.synthetic.surfaces import solid_albedo
from kdbts_ros.datasets.synthetic.textures import noise2
from kdbts_ros.density.geometry.camera import Array

# Columns of the lamps: place, light, and where a panel shines to (zero: everywhere); its size, m.
L_X, L_Y, L_Z, L_R, L_G, L_B, L_TO_X, L_TO_Y, L_TO_Z, L_SIZE = range(10)
LAMP_COLUMNS = 10
# What else a room's light needs: light from all sides, how much of it the floor mirrors, and how
# blurred that is (1/m); under open sky without lamps this vector is empty.
(BOUNCE_R, BOUNCE_G, BOUNCE_B, FLOOR_GLOSS, FLOOR_BLUR) = range(5)
ROOM_PARAMETERS = 5

# Panes that a ray is followed through, and how far a mirrored or seen-through ray goes, m.
PANES = 3
REACH = 80.0
# Share of a lamp's light that comes to its shadows by way of walls and ceiling.
SHADE = 0.12
# A second lamp casts a shadow if it gives this share of the light of the first.
SECOND = 0.6


@kernel
def march(
    scene: SceneArrays, o: Vector, d: Vector, limit: float, any_hit: bool
) -> tuple[float, int, int]:
    """Parameter up to `limit`, surface and face of what the ray o + t d meets, SKY for nothing.

    Any ray, unlike `nearest_hit`: it walks the cells of the grid that looks upwards. any_hit: stop
    at the first thing that gives shade, which glass and lamps do not.
    """
    frame = scene.up_frame
    columns, rows = int(frame[3]), int(frame[4])
    u, v = (o[0] - frame[0]) / frame[2], (o[1] - frame[1]) / frame[2]
    du, dv = d[0] / frame[2], d[1] / frame[2]
    cell = grid_cell(frame, o[0], o[1])
    i, j = cell % columns, cell // columns
    step_i, step_j = (1 if du > 0 else -1), (1 if dv > 0 else -1)
    wide, high = 1e30, 1e30
    next_u, next_v = 1e30, 1e30
    if abs(du) > 1e-9:
        wide = abs(1.0 / du)
        next_u = (i + (1 if du > 0 else 0) - u) / du
    if abs(dv) > 1e-9:
        high = abs(1.0 / dv)
        next_v = (j + (1 if dv > 0 else 0) - v) / dv
    best, surface, face = limit, SKY, 0
    enter = 0.0
    for _ in range(columns + rows):
        first, last = scene.up_starts[j * columns + i], scene.up_starts[j * columns + i + 1]
        leave = min(next_u, next_v, best)
        # Most of what stands in a cell lies above or below the ray: that is soon told.
        low, high_end = o[2] + enter * d[2], o[2] + leave * d[2]
        if low > high_end:
            low, high_end = high_end, low
        for k in range(first, last):
            p = scene.table[scene.up_items[k]]
            if p[CZ] - p[HZ] > high_end or p[CZ] + p[HZ] < low:
                continue
            if any_hit and (p[MATERIAL] == GLASS or p[MATERIAL] == LAMP):
                continue
            if p[KIND] == LEAVES:
                t, side = hit_leaves(p, o[0], o[1], o[2], d[0], d[1], d[2], best), CURVED
            else:
                t, side = intersect(p, o[0], o[1], o[2], d[0], d[1], d[2])
            if 1e-5 < t < best:
                best, surface, face = t, scene.up_items[k], side
                if any_hit:
                    return best, surface, face
        if best <= leave:
            break
        enter = leave
        if next_u < next_v:
            i += step_i
            next_u += wide
        else:
            j += step_j
            next_v += high
        if i < 0 or j < 0 or i >= columns or j >= rows:
            break
    if not any_hit:
        t, _ = hit_ground(scene.ground, scene.patches, o[0], o[1], o[2], d[0], d[1], d[2])
        if 0.0 < t < best:
            best, surface, face = t, GROUND, TOP
    return best, surface, face


@kernel
def lamp_light(
    scene: SceneArrays, x: float, y: float, z: float, nx: float, ny: float, nz: float, shadows: bool
) -> Vector:
    """Light of all lamps that reaches a surface at a point with a unit normal."""
    lamps = scene.lamps
    r, g, b = 0.0, 0.0, 0.0
    first, second, most, more = -1, -1, 0.0, 0.0
    for k in range(len(lamps)):
        light = _from_lamp(lamps[k], x, y, z, nx, ny, nz)
        if light <= 0.0:
            continue
        r, g, b = r + light * lamps[k, L_R], g + light * lamps[k, L_G], b + light * lamps[k, L_B]
        strength = light * lamps[k, L_G]
        if strength > most:
            first, second, most, more = k, first, strength, most
        elif strength > more:
            second, more = k, strength
    if shadows:
        o = (x + 2e-3 * nx, y + 2e-3 * ny, z + 2e-3 * nz)
        for k in (first, second):
            if k < 0 or (k == second and more < SECOND * most):
                continue
            d = (lamps[k, L_X] - o[0], lamps[k, L_Y] - o[1], lamps[k, L_Z] - o[2])
            _, surface, _ = march(scene, o, d, 0.98, True)
            if surface != SKY:
                lost = (1.0 - SHADE) * _from_lamp(lamps[k], x, y, z, nx, ny, nz)
                r -= lost * lamps[k, L_R]
                g -= lost * lamps[k, L_G]
                b -= lost * lamps[k, L_B]
    return max(r, 0.0), max(g, 0.0), max(b, 0.0)


@kernel
def _from_lamp(lamp: Array, x: float, y: float, z: float, nx: float, ny: float, nz: float) -> float:
    """How much of a lamp's light a surface gets at a point, 0 where it does not face the lamp."""
    dx, dy, dz = lamp[L_X] - x, lamp[L_Y] - y, lamp[L_Z] - z
    towards = dx * nx + dy * ny + dz * nz
    if towards <= 0.0:
        return 0.0
    square = dx * dx + dy * dy + dz * dz
    size = lamp[L_SIZE] * lamp[L_SIZE]
    if lamp[L_TO_X] == 0.0 and lamp[L_TO_Y] == 0.0 and lamp[L_TO_Z] == 0.0:
        return float(towards / math.sqrt(square) / (square + size))
    out = -(dx * lamp[L_TO_X] + dy * lamp[L_TO_Y] + dz * lamp[L_TO_Z])
    if out <= 0.0:
        return 0.0
    return float(towards * out / square / (square + size))


@kernel
def _sun_share(scene: SceneArrays, x: float, y: float, z: float) -> float:
    """1 where the sun reaches a point, through windows too, else 0."""
    a = scene.light
    kx, ky = a[SUN_X] / a[SUN_Z], a[SUN_Y] / a[SUN_Z]
    cell = grid_cell(scene.sun_frame, x - kx * z, y - ky * z)
    for k in range(scene.sun_starts[cell], scene.sun_starts[cell + 1]):
        p = scene.table[scene.sun_items[k]]
        if p[MATERIAL] == GLASS:
            continue
        t, _ = intersect(p, x, y, z, a[SUN_X], a[SUN_Y], a[SUN_Z])
        if t > 1e-4:
            return 0.0
    return 1.0


@kernel
def _nook(scene: SceneArrays, x: float, y: float, z: float) -> float:
    """Share of the light from all sides that comes to the floor: little under a table or a car."""
    lowest = height_above(scene, x, y, z)
    return 1.0 if lowest > 1.5 else 0.25 + 0.5 * lowest


@kernel
def _surface(
    scene: SceneArrays, o: Vector, d: Vector, t: float, surface: int, face: int, pixel: float,
    shadows: bool, outside: bool,
) -> tuple[float, float, float, float, float, float, float, float]:  # fmt: skip
    """Light r, g, b that a surface scatters, its gloss, how blurred that is (1/m), its normal.

    d: unit. outside: seen through a window, in the light of the day.
    """
    x, y, z = o[0] + t * d[0], o[1] + t * d[1], o[2] + t * d[2]
    room, a = scene.room, scene.light
    gloss, blur, near = 0.0, 0.3, 1.0
    if surface >= 0:
        p = scene.table[surface]
        nx, ny, nz = normal(p, x, y, z, face)
        if p[MATERIAL] == LAMP:
            shine = p[PERIOD]
            return shine * p[RED], shine * p[GREEN], shine * p[BLUE], 0.0, 0.0, nx, ny, nz
        facing = max(0.15, -(nx * d[0] + ny * d[1] + nz * d[2]))
        r, g, b, gloss = solid_albedo(p, x, y, z, face, pixel * t / facing)
        # Light from all sides is less in the corner with the floor, and from below.
        near = (0.85 + 0.15 * nz) * (0.7 + 0.3 * min(1.0, max(0.0, z) / 0.6))
    else:
        nx, ny, nz = 0.0, 0.0, 1.0
        footprint = pixel * t * math.sqrt(1.0 / max(0.02, -d[2]))
        r, g, b = ground_albedo(scene.ground, scene.patches, x, y, 0, footprint)
        if not outside:
            gloss, blur = room[FLOOR_GLOSS], room[FLOOR_BLUR]
            near = _nook(scene, x, y, z) if shadows else 0.8
    lr, lg, lb = near * room[BOUNCE_R], near * room[BOUNCE_G], near * room[BOUNCE_B]
    if outside:
        lr, lg, lb = 0.6 * a[HORIZON_R], 0.6 * a[HORIZON_G], 0.6 * a[HORIZON_B]
    else:
        er, eg, eb = lamp_light(scene, x, y, z, nx, ny, nz, shadows)
        lr, lg, lb = lr + er, lg + eg, lb + eb
    slant = nx * a[SUN_X] + ny * a[SUN_Y] + nz * a[SUN_Z]
    if slant > 0.0 and a[SUN] > 0.0:
        direct = a[SUN] * slant
        if outside:
            direct *= 0.8
        else:
            direct *= _sun_share(scene, x + 1e-3 * nx, y + 1e-3 * ny, z + 1e-3 * nz)
        lr, lg, lb = (
            lr + direct * (1 + a[SUN_WARMTH]),
            lg + direct,
            lb + direct * (1 - a[SUN_WARMTH]),
        )
    return r * lr, g * lg, b * lb, gloss, blur, nx, ny, nz


@kernel
def _beyond(
    scene: SceneArrays, o: Vector, d: Vector, pixel: float, away: float, outside: bool
) -> tuple[float, float, float, float]:
    """Light r, g, b along a mirrored or seen-through ray, without further mirrors, and its length.

    It goes through panes. d: unit. away: how far the ray has come already, m. outside: it has come
    through a window.
    """
    share, start = 1.0, 0.0
    for _ in range(PANES):
        here = (o[0] + start * d[0], o[1] + start * d[1], o[2] + start * d[2])
        t, surface, face = march(scene, here, d, REACH, False)
        if surface == SKY:
            r, g, b = sky(scene.light, d[0], d[1], max(d[2], 0.0))
            return share * r, share * g, share * b, REACH
        if surface >= 0 and scene.table[surface, MATERIAL] == GLASS:
            share *= 0.85
            outside = outside or scene.table[surface, PERIOD] > 0.5
            start += t + 1e-3
            continue
        # The footprint grows with the whole way of the ray.
        wide = pixel * (1.0 + (away + start) / max(t, 0.05))
        r, g, b, _, _, _, _, _ = _surface(scene, here, d, t, surface, face, wide, False, outside)
        return share * r, share * g, share * b, start + t
    return 0.0, 0.0, 0.0, REACH


@kernel
def lamplit(
    scene: SceneArrays, o: Vector, d: Vector, t: float, surface: int, face: int, pixel: float
) -> Vector:
    """Linear r, g, b of a hit, as `radiance` has it for streets."""
    length = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
    w = (d[0] / length, d[1] / length, d[2] / length)
    if surface == SKY:
        return sky(scene.light, w[0], w[1], w[2])
    far = t * length
    hit = (o[0] + far * w[0], o[1] + far * w[1], o[2] + far * w[2])
    if surface >= 0 and scene.table[surface, MATERIAL] == GLASS:
        return _pane(scene, w, hit, far, surface, face, pixel)
    r, g, b, gloss, blur, nx, ny, nz = _surface(scene, o, w, far, surface, face, pixel, True, False)
    if gloss <= 0.0:
        return r, g, b
    facing = max(0.0, -(w[0] * nx + w[1] * ny + w[2] * nz))
    share = gloss * (0.12 + 0.88 * (1.0 - facing) ** 3)
    if share < 0.03:
        return r, g, b
    if surface == GROUND:
        # No floor is quite even: what it mirrors wavers.
        nx += 0.012 * (noise2(hit[0] * 5.0, hit[1] * 5.0, 61) - 0.5)
        ny += 0.012 * (noise2(hit[0] * 5.0, hit[1] * 5.0, 62) - 0.5)
    slant = w[0] * nx + w[1] * ny + w[2] * nz
    m = (w[0] - 2 * slant * nx, w[1] - 2 * slant * ny, w[2] - 2 * slant * nz)
    at = (hit[0] + 2e-3 * nx, hit[1] + 2e-3 * ny, hit[2] + 2e-3 * nz)
    sr, sg, sb, off = _beyond(scene, at, m, pixel, far, False)
    # The farther what is mirrored, the less of it is left in a surface that is not quite smooth.
    clear = 1.0 / (1.0 + blur * off)
    room = scene.room
    dull = 0.3 * (1.0 - clear)
    return (
        r + share * (clear * min(sr, 30.0) + dull * room[BOUNCE_R]),
        g + share * (clear * min(sg, 30.0) + dull * room[BOUNCE_G]),
        b + share * (clear * min(sb, 30.0) + dull * room[BOUNCE_B]),
    )


@kernel
def _pane(
    scene: SceneArrays, w: Vector, hit: Vector, far: float, surface: int, face: int, pixel: float
) -> Vector:
    """What glass shows: what lies behind it, the less the more it scatters, and a mirror image."""
    p, room = scene.table[surface], scene.room
    nx, ny, nz = normal(p, hit[0], hit[1], hit[2], face)
    facing = max(0.0, -(w[0] * nx + w[1] * ny + w[2] * nz))
    mirror = 0.05 + 0.95 * (1.0 - facing) ** 5
    veil = p[CONTRAST]
    clear = (1.0 - mirror) * (1.0 - veil)
    r, g, b = 0.0, 0.0, 0.0
    if clear > 0.02:
        on = (hit[0] + 1e-4 * w[0], hit[1] + 1e-4 * w[1], hit[2] + 1e-4 * w[2])
        r, g, b, _ = _beyond(scene, on, w, pixel, far, p[PERIOD] > 0.5)
    r, g, b = clear * p[RED] * r, clear * p[GREEN] * g, clear * p[BLUE] * b
    slant = w[0] * nx + w[1] * ny + w[2] * nz
    m = (w[0] - 2 * slant * nx, w[1] - 2 * slant * ny, w[2] - 2 * slant * nz)
    at = (hit[0] + 2e-3 * nx, hit[1] + 2e-3 * ny, hit[2] + 2e-3 * nz)
    sr, sg, sb, _ = _beyond(scene, at, m, pixel, far, False)
    lr, lg, lb = lamp_light(scene, hit[0], hit[1], hit[2], nx, ny, nz, False)
    day = 0.6 * scene.light[HORIZON_G] if p[PERIOD] > 0.5 else 0.0
    milk = 0.7 * veil
    return (
        r + mirror * sr + milk * (lr + room[BOUNCE_R] + day),
        g + mirror * sg + milk * (lg + room[BOUNCE_G] + day),
        b + mirror * sb + milk * (lb + room[BOUNCE_B] + day),
    )
