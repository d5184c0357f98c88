"""What a soak test finds wrong, and what it draws; on samples that are made up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("kdbts_ros.msg", reason="needs the built messages: run `make venv`")

from kdbts_ros.replay import soak_report
from kdbts_ros.replay.account import Account
from kdbts_ros.replay.soak_test import (
    CAMERAS,
    Sample,
    SoakResult,
    Usage,
    _Heard,
    _mount,
    camera_names,
)


def samples(grows_mb: float = 0.0, gpu: bool = False, files: int = 0) -> tuple[Sample, ...]:
    found = []
    for second in range(40):
        gpu_mb = 900.0 + grows_mb * second if gpu else None
        usage = Usage(500.0 + grows_mb * second, gpu_mb, 20 + files * second)
        drops = Counter(superseded=20 * second, no_tf=second)
        ages = (40.0, 50.0) if second else ()
        found.append(
            Sample(second, usage, 30 * second, 29 * second, 5 * second, 3 * second, drops, ages)
        )
    return tuple(found)


SOUND = SoakResult(30.0, 4, samples())


def test_a_steady_node_is_well() -> None:
    assert soak_report.findings(SOUND, None) == []
    figures = soak_report.figures(SOUND)
    assert (figures["sent"], figures["frames_in"], figures["lost_before_the_node"]) == (
        1170,
        1131,
        39,
    )
    assert figures["age_p50_ms"] == 45.0 and figures["gpu_mb"] is None


@pytest.mark.parametrize(
    ("result", "ended", "words"),
    [
        (replace(SOUND, open=18), None, "18 of 1131 images are neither a map nor a view"),
        (replace(SOUND, open=-1), None, "-1 of 1131"),
        (
            replace(
                SOUND,
                samples=tuple(replace(s, maps_out=min(s.maps_out, 90)) for s in SOUND.samples),
            ),
            None,
            "no map came in the last 10 s, of 290 images",
        ),
        (SOUND, -11, "the node ended, exit code -11"),
        (replace(SOUND, samples=()), 1, "nothing was measured"),
        (replace(SOUND, samples=samples(5.0)), None, "resident memory grew from 572 to 672 MB"),
        (replace(SOUND, samples=samples(5.0, gpu=True)), None, "memory of the GPU grew"),
        (replace(SOUND, samples=samples(files=1)), None, "open files grew from 34 to 54"),
    ],
)
def test_what_is_wrong_is_one_sentence(result: SoakResult, ended: int | None, words: str) -> None:
    assert any(words in sentence for sentence in soak_report.findings(result, ended))


def test_what_fills_up_at_first_is_no_leak() -> None:
    filling = tuple(
        replace(s, usage=replace(s.usage, resident_mb=500 + 40.0 * min(i, 8)))
        for i, s in enumerate(samples())
    )
    assert soak_report.findings(replace(SOUND, samples=filling), None) == []


@pytest.mark.parametrize("gpu", [False, True])
def test_a_picture_is_drawn(tmp_path: Path, gpu: bool) -> None:
    soak_report.draw(tmp_path / "soak.png", replace(SOUND, samples=samples(1.0, gpu)))
    picture = cv2.imread(str(tmp_path / "soak.png"))
    assert picture is not None and picture.shape[0] > 500 and picture.std() > 10


def diagnostics(*statuses: dict[str, Any]) -> Any:
    return SimpleNamespace(
        status=[
            SimpleNamespace(
                level=b"\0",
                message="",
                values=[SimpleNamespace(key=k, value=str(v)) for k, v in values.items()],
            )
            for values in statuses
        ]
    )


def test_images_of_all_cameras_are_counted() -> None:
    account = Account()
    account.read(
        diagnostics(
            {"frames in": 10},
            {"frames in": 9},
            {"maps out": 4, "views in": 5, "dropped, superseded": 8},
        )
    )
    assert (account.frames_in, account.open, account.settled) == (19, 2, False)
    account.read(diagnostics({"dropped, superseded": 10}))
    assert (account.frames_in, account.open, account.settled) == (19, 0, True)


def test_only_maps_have_an_age() -> None:
    heard = _Heard()
    for mode, age in (("", 0.0), ("mvbts", 30.0)):
        heard.report(SimpleNamespace(mode=mode, age_ms=age))
    assert heard.take_ages() == (30.0,) and heard.take_ages() == ()


def test_cameras_look_along_their_names() -> None:
    assert camera_names(1) == [] and camera_names(3) == ["front", "left", "right"]
    from scipy.spatial.transform import Rotation

    looks = {"front": (1, 0, 0), "left": (0, 1, 0), "right": (0, -1, 0), "rear": (-1, 0, 0)}
    for name in CAMERAS:
        q = _mount(name).transform.rotation
        turned = Rotation.from_quat([q.x, q.y, q.z, q.w])
        # Optical frames look along z, and y is down.
        assert turned.apply([0, 0, 1]) == pytest.approx(looks[name], abs=1e-9)
        assert turned.apply([0, 1, 0]) == pytest.approx((0, 0, -1), abs=1e-9)
