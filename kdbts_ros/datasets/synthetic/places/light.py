"""The light of places: lamps at ceilings, the day that windows let in, the camera's exposure."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from kdbts_ros.datasets.synthetic.appearance import (
    AMBIENT,
    EXPOSURE,
    GAMMA,
    HAZE,
    HORIZON_B,
    NOISE,
    SATURATION,
    SUN,
    ZENITH_R,
    random_appearance,
)
from kdbts_ros.datasets.synthetic.indoor_surfaces import LAMP
from kdbts_ros.datasets.synthetic.interior import (
    FLOOR_BLUR,
    FLOOR_GLOSS,
    L_B,
    L_R,
    L_SIZE,
    L_TO_X,
    L_TO_Z,
    L_X,
    L_Y,
    L_Z,
    ROOM_PARAMETERS,
)
from kdbts_ros.datasets.synthetic.places.place import Place
from kdbts_ros.datasets.synthetic.primitives import MATERIAL, PLAIN
from kdbts_ros.density.geometry.camera import Array

# Lamps of one place at most: every point of a picture asks all of them.
MOST_LAMPS = 32


def add_ceiling_lamps(
    place: Place, xs: Array, ys: Array, height: float, half: tuple[float, float],
    hang: float = 0.0,
) -> None:  # fmt: skip
    """Panels on a raster under a ceiling, `hang` m below it; some are broken."""
    rng = place.rng
    warm = float(rng.uniform(0.0, 1.0))
    colour = (1.0, 1.0 - 0.17 * warm, 1.0 - 0.42 * warm)
    bright = float(rng.uniform(6.0, 25.0))
    z = height - hang - 0.03
    for x in xs:
        for y in ys:
            if len(place.lamps) >= MOST_LAMPS:
                return
            here = place.stand(float(x), float(y), z)
            if hang > 0.15:
                here.box((0, 0, hang / 2), (0.008, 0.008, hang / 2), (0.1, 0.1, 0.1))
            broken = rng.random() < 0.05
            here.box((0, 0, 0), (*half, 0.025), (0.6, 0.6, 0.6) if broken else colour,
                     0 if broken else LAMP, period=bright)  # fmt: skip
            if not broken:
                light = tuple(4.0 * half[0] * half[1] * c for c in colour)
                place.lamps.append(
                    (float(x), float(y), z - 0.06, *light, 0.0, 0.0, -1.0, max(half) * 0.7)
                )


def add_bulb(place: Place, x: float, y: float, z: float, light: float) -> None:
    """A lamp that shines to all sides, warm."""
    place.lamps.append((x, y, z, light, 0.82 * light, 0.55 * light, 0.0, 0.0, 0.0, 0.25))


def light_up(
    place: Place, gloss: float, day: float | None = None, lamps_on: float = 0.85
) -> tuple[Array, Array, Array]:
    """Lamps, room and appearance, so that the floor's mean light is 1 and the picture well exposed.

    gloss: how much the floor mirrors. day: how many times brighter it is outside than under a sky
    of brightness 1; None draws it, night among it. lamps_on: chance that lamps are on by day.
    """
    rng = place.rng
    a = random_appearance(rng)
    if day is None:
        day = (
            0.02
            if rng.random() < 0.15
            else float(np.exp(rng.uniform(math.log(1.0), math.log(12.0))))
        )
    a[SUN], a[AMBIENT] = a[SUN] * day, a[AMBIENT] * day
    a[ZENITH_R : HORIZON_B + 1] *= day
    a[HAZE] = 0.0
    lamps = place.lamp_array()
    shining = np.arange(len(lamps)) < len(place.lamps)
    lit = bool(len(place.lamps)) and (not place.windows or day < 1.0 or rng.random() < lamps_on)
    _scale(place, lamps, shining, float(rng.uniform(0.5, 1.0)) if lit else 0.0)
    for row in place.table.rows:
        if row[MATERIAL] == LAMP and not lit:
            row[MATERIAL] = PLAIN
    # What windows add follows the day, within what an exposure can still hold.
    outside = float(a[HORIZON_B - 1]) * float(rng.uniform(0.3, 1.0))
    _scale(place, lamps, ~shining, min(1.5, 0.25 * outside))
    total = max(_mean_light(place, lamps), 0.05)
    lamps[:, L_R : L_B + 1] /= total
    a[SUN : SUN + 1] /= total
    a[AMBIENT] /= total
    a[ZENITH_R : HORIZON_B + 1] /= total
    room = np.zeros(ROOM_PARAMETERS)
    tint = 1 + 0.08 * rng.standard_normal(3)
    room[:3] = float(rng.uniform(0.3, 0.9)) * tint
    room[FLOOR_GLOSS], room[FLOOR_BLUR] = gloss, float(rng.choice([0.05, 0.3, 1.0, 3.0]))
    a[EXPOSURE] = float(rng.uniform(0.13, 0.4)) / (0.3 * (1.0 + float(room[:3].mean())))
    a[GAMMA] = rng.uniform(1.7, 2.5)
    a[NOISE] = rng.uniform(0.0, 0.03)
    a[SATURATION] = rng.uniform(0.8, 1.3)
    used = lamps[lamps[:, L_R : L_B + 1].max(1) > 1e-6] if len(lamps) else lamps
    return used, room, a


def open_sky(place: Place) -> Array:
    """Appearance of a place without a roof: that of streets."""
    return random_appearance(place.rng)


def _scale(place: Place, lamps: Array, which: npt.NDArray[np.bool_], wanted: float) -> None:
    """Let some lamps give the floor a mean light."""
    if not which.any():
        return
    mean = _mean_light(place, lamps[which])
    if mean > 0:
        lamps[which, L_R : L_B + 1] *= wanted / mean


def _mean_light(place: Place, lamps: Array) -> float:
    """Mean light of some lamps on the floor around the lane, m."""
    if not len(lamps):
        return 0.0
    x, y = np.meshgrid(
        np.linspace(-2.0, min(12.0, place.length_m - 1.0), 12), [-2.0, -0.7, 0.7, 2.0]
    )
    away = lamps[:, None, [L_X, L_Y, L_Z]] - np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], -1)
    square = (away**2).sum(-1)
    out = -(away * lamps[:, None, L_TO_X : L_TO_Z + 1]).sum(-1)
    everywhere = np.all(lamps[:, L_TO_X : L_TO_Z + 1] == 0, axis=1)
    out = np.where(everywhere[:, None], np.sqrt(square), np.maximum(out, 0.0))
    light = away[..., 2] * out / square / (square + lamps[:, None, L_SIZE] ** 2)
    return float((light * lamps[:, None, L_R + 1]).sum(0).mean())
