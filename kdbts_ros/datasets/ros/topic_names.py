"""What the name of an image topic says, by the conventions of image_pipeline and its drivers.

Only the last two parts of a name say what a picture is: those before name robots and cameras, which
may be called anything (`/direct_drive/front/image_raw` is no rectified image, and
`/depth_camera/image_raw` no depth).
"""

from __future__ import annotations

# What image_transport appends to the name of an image.
TRANSPORTS = ("compressed", "compressedDepth", "theora", "ffmpeg", "zstd", "foxglove", "draco")
_RECTIFIED = {"rect", "rectified"}
# Pictures that show something else than colours or grey values.
_OTHER = {
    "confidence",
    "debug",
    "depth",
    "disparity",
    "label",
    "labels",
    "mask",
    "masks",
    "preview",
    "segmentation",
    "semantic",
}
# A namespace that says so of itself is a device with a lens, not a kind of picture.
_DEVICES = {"cam", "camera", "sensor"}


def without_transport(topic: str) -> str:
    """The topic that image_transport calls the base topic."""
    space, _, last = topic.rpartition("/")
    return space if space and last in TRANSPORTS else topic


def is_rectified(topic: str) -> bool:
    """Whether its images are rectified, as `/left/image_rect_color` or `/left/rect/image` are."""
    parent, name = _last_words(topic)
    if _RECTIFIED & set(name):
        return True
    return bool(_RECTIFIED & set(parent)) and "raw" not in name


def shows_colours(topic: str) -> bool:
    """Whether its images may be a camera's, and not depth, masks or the like."""
    if topic.endswith("/compressedDepth"):
        return False
    parent, name = _last_words(topic)
    if _OTHER & set(name):
        return False
    kind = parent[1:] if parent[0] == "aligned" else parent
    return not kind or kind[0] not in _OTHER or bool(_DEVICES & set(kind))


def info_topics(topic: str) -> tuple[str, ...]:
    """Where its camera_info may be, the neighbour first, then one namespace after another up."""
    parts = without_transport(topic).strip("/").split("/")[:-1]
    return tuple(
        "/".join(("", *parts[:count], "camera_info")) for count in range(len(parts), -1, -1)
    )


def _last_words(topic: str) -> tuple[list[str], list[str]]:
    """Words of the last namespace and of the name."""
    parts = ["", *without_transport(topic).lower().strip("/").split("/")]
    return parts[-2].split("_"), parts[-1].split("_")
