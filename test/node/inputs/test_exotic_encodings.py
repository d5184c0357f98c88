"""Encodings that are not ours go to cv_bridge where it is installed; here to a stand-in for it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from kdbts_ros.node.inputs.camera_messages import decode
from kdbts_ros.node.reporting import drops
from kdbts_ros.node.reporting.drops import Dropped

# What the node uses of cv_bridge: its conversion answers in the encoding that is asked for.
STAND_IN = """
import numpy as np


class CvBridgeError(TypeError):
    pass


class CvBridge:
    def imgmsg_to_cv2(self, message, encoding):
        assert encoding == "rgb8"
        if message.encoding != "nv24":
            raise CvBridgeError(f"{message.encoding} is not a recognised encoding")
        return np.full((message.height, message.width, 3), (1, 2, 3), np.uint8)
"""


@pytest.fixture
def cv_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cv_bridge.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path)
    # Set first: of a module that is absent, delitem alone would leave in what is imported now.
    monkeypatch.setitem(sys.modules, "cv_bridge", ModuleType("cv_bridge"))
    monkeypatch.delitem(sys.modules, "cv_bridge")


def message(encoding: str) -> SimpleNamespace:
    return SimpleNamespace(
        width=8, height=4, step=8, encoding=encoding, is_bigendian=0, data=bytes(96)
    )


@pytest.mark.usefixtures("cv_bridge")
def test_what_is_not_ours_is_decoded_by_cv_bridge() -> None:
    assert np.array_equal(decode(message("nv24")), np.full((4, 8, 3), (1, 2, 3)))


@pytest.mark.usefixtures("cv_bridge")
def test_what_cv_bridge_refuses_is_a_bad_image_that_is_named() -> None:
    with pytest.raises(
        Dropped, match=r"'no_such' cannot become rgb8: .*not a recognised"
    ) as caught:
        decode(message("no_such"))
    assert caught.value.reason == drops.BAD_IMAGE
