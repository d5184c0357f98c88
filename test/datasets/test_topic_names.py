"""What the names of image topics say; recordings and the live node ask the same functions."""

from __future__ import annotations

import pytest

from kdbts_ros.datasets.bags.topics import CameraTopics, camera_topics
from kdbts_ros.datasets.ros.topic_names import info_topics, is_rectified, shows_colours
from kdbts_ros.errors import UserError
from kdbts_ros.node.inputs.camera_messages import is_rectified as live_is_rectified

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"

RECTIFIED = (
    "/camera/image_rect",
    "/camera/image_rect_color",
    "/camera/image_rect_color/compressed",
    "/camera/infra1/image_rect_raw",
    "/left/image_rectified",
    "/zed/zed_node/rgb/color/rect/image",
    "/rig/left_rect/image",
)
RAW = (
    "/camera/image_raw",
    "/camera/image",
    "/camera/image_unrectified",
    "/direct_drive/front/image_raw",
    "/direct_cam/image_raw",
    "/rect_robot/front/image_raw",
    "/rect/image_raw",
    "/zed/zed_node/rgb/color/raw/image",
    "/correct/image",
)


@pytest.mark.parametrize("topic", RECTIFIED + RAW)
def test_only_whole_words_of_the_last_parts_say_rectified(topic: str) -> None:
    expected = topic in RECTIFIED
    assert is_rectified(topic) is expected
    assert CameraTopics("camera", topic, "/camera_info").rectified is expected
    assert live_is_rectified("auto", topic) is expected


@pytest.mark.parametrize(
    ("topic", "colours"),
    [
        ("/depth_camera/image_raw", True),
        ("/intel_realsense_r200_depth/image_raw", True),
        ("/depthai/rgb/image_raw", True),
        ("/labeling_robot/cam/image_raw", True),
        ("/mask_robot/front/image_raw", True),
        ("/rgb_to_depth/image_raw", True),
        ("/camera/depth/image_rect_raw", False),
        ("/camera/aligned_depth_to_color/image_raw", False),
        ("/depth_to_rgb/image_raw", False),
        ("/kinect2/hd/image_depth_rect", False),
        ("/depth", False),
        ("/oak/rgb/preview/image_raw", False),
        ("/front/semantic_segmentation", False),
        ("/front/image_raw/compressedDepth", False),
        ("/front/labels", False),
    ],
)
def test_only_the_last_parts_say_what_a_picture_shows(topic: str, colours: bool) -> None:
    assert shows_colours(topic) is colours


def test_camera_info_is_the_neighbour_before_it_is_above() -> None:
    assert info_topics("/front/rgb/image/compressed") == (
        "/front/rgb/camera_info",
        "/front/camera_info",
        "/camera_info",
    )
    assert info_topics("/image_raw") == ("/camera_info",)


def types(*topics: str) -> dict[str, str]:
    return {t: INFO if t.endswith("info") else IMAGE for t in topics}


def test_camera_info_above_belongs_to_the_only_images_below_it() -> None:
    (camera,) = camera_topics(types("/front/rgb/image", "/front/camera_info"), None, "bag")
    assert (camera.name, camera.infos) == ("front", "/front/camera_info")
    # Depth below the same namespace takes nothing away.
    found = types("/front/rgb/image", "/front/depth/image", "/front/camera_info")
    assert [c.images for c in camera_topics(found, None, "bag")] == ["/front/rgb/image"]
    # Of two cameras nobody knows whose it is.
    two = types("/left/image", "/right/image", "/camera_info")
    with pytest.raises(UserError, match="name a pair of them as --cameras IMAGES=CAMERA_INFO"):
        camera_topics(two, None, "bag")
    (right,) = camera_topics(two, ["/right/image=/camera_info"], "bag")
    assert (right.name, right.images, right.infos) == ("right", "/right/image", "/camera_info")


def test_what_is_asked_for_by_its_topic_is_taken() -> None:
    held = types("/front/depth/image", "/front/depth/camera_info", "/eye/image", "/other_info")
    (camera,) = camera_topics(held, ["/front/depth/image"], "bag")
    assert (camera.name, camera.images) == ("depth", "/front/depth/image")
    (camera,) = camera_topics(held, ["/eye/image=/other_info"], "bag")
    assert (camera.name, camera.infos) == ("eye", "/other_info")
    # The raw images of a camera whose rectified ones would be chosen.
    both = types("/left/image_raw", "/left/image_rect", "/left/camera_info")
    assert [c.images for c in camera_topics(both, ["/left/image_raw"], "bag")] == [
        "/left/image_raw"
    ]
    names = [c.name for c in camera_topics(both, ["/left/image_raw", "/left/image_rect"], "bag")]
    assert names == ["left_image_raw", "left_image_rect"]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("/eye/image", "no camera_info beside /eye/image: name it as /eye/image=TOPIC"),
        ("/eye/image=/nothing", "no camera_info on /nothing; topics of camera_info: /other_info"),
        ("/nothing", "no images on /nothing; topics of images: /eye/image"),
        ("eye", "no camera eye; it has none"),
    ],
)
def test_what_cannot_be_found_is_named(wanted: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        camera_topics(types("/eye/image", "/other_info"), [wanted], "bag")


def test_the_two_pictures_of_one_camera_are_one_camera() -> None:
    space = "/zed/zed_node/rgb/color"
    held = types(
        *(f"{space}/{kind}/{n}" for kind in ("raw", "rect") for n in ("image", "camera_info"))
    )
    (camera,) = camera_topics(held, None, "bag")
    assert (camera.name, camera.images, camera.infos) == (
        "color",
        f"{space}/rect/image",
        f"{space}/rect/camera_info",
    )


def test_cameras_are_chosen_by_their_topics() -> None:
    image, info = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
    held = {
        "/rig/right/image_raw": image,
        "/rig/right/camera_info": info,
        "/rig/left/image_raw": image,
        "/rig/left/image_rect_color": image,
        "/rig/left/depth/image": image,
        "/rig/left/camera_info": info,
        "/rig/rear/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
        "/rig/rear/camera_info": info,
    }
    found = camera_topics(held, None, "bag")
    assert [(c.name, c.images) for c in found] == [
        ("left", "/rig/left/image_rect_color"),
        ("rear", "/rig/rear/image_raw/compressed"),
        ("right", "/rig/right/image_raw"),
    ]
    assert found[0].rectified and not found[2].rectified
    picked = camera_topics(held, ["rear", "/rig/right/image_raw"], "bag")
    assert [c.name for c in picked] == ["rear", "right"]
    with pytest.raises(UserError, match="no camera top; it has"):
        camera_topics(held, ["top"], "bag")
