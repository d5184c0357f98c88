"""Features that are no numbers, as a device or half precision may give, call nothing free."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from kdbts_ros.density.birds_eye_map import map_around
from kdbts_ros.density.geometry.camera import View
from kdbts_ros.density.maps.grid import FREE, GridWindow, HeightBand
from test.density.networks import (
    NUMBERS,
    base_pose,
    camera,
    forward_pose,
    tiny_scene,
    view,
    with_numbers,
)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("head", ["bts", "mvbts"])
def test_what_is_no_number_is_never_free(
    head: str, numbers: str, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = with_numbers(tiny_scene(head), numbers)
    encode = scene.engine.encode

    def broken(images: torch.Tensor) -> list[Any]:
        return [torch.full_like(torch.as_tensor(maps), value) for maps in encode(images)]

    monkeypatch.setattr(scene.engine, "encode", broken)
    image = view().image
    views = [View(image, camera(), forward_pose(x)) for x in (0.0, 0.5)]
    scene.set_views(views if head == "mvbts" else views[:1])
    window = GridWindow.around(0.0, 0.0, 24.0, 0.5)
    found = map_around(scene, base_pose(), window, HeightBand(0.2, 2.0, 0.3))
    for completed in ("keep", "discount", "unknown"):
        assert FREE not in found.trinary(0.5, completed)
        assert not np.isin(found.percent(0.5, completed), range(50)).any()
