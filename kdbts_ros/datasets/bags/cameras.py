"""The images of one recorded camera, each with the calibration that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kdbts_ros.datasets.bags.calibrations import Calibrations, same_lens
from kdbts_ros.datasets.bags.headers import Header, read_header
from kdbts_ros.datasets.bags.runs import two_runs
from kdbts_ros.datasets.bags.topics import CameraTopics
from kdbts_ros.datasets.ros.pose_rules import image_frame
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.errors import UserError


@dataclass(frozen=True)
class ImageEntry:
    """One recorded image: its own stamp and the time it was logged at, ns."""

    stamp_ns: int
    logged_ns: int


@dataclass(frozen=True)
class CameraIndex:
    """A camera's images in the order of their stamps; frame_id of its optical frame.

    lens: of all the images; None where there are none. The others are counted: `recorded` is all
    of them, `without_stamp` have 0, `repeated` have the stamp of one before, `other_lens` have a
    camera_info that cannot be used or tells of another lens than most.
    """

    topics: CameraTopics
    images: tuple[ImageEntry, ...]
    lens: Lens | None
    frame_id: str
    recorded: int = 0
    without_stamp: int = 0
    repeated: int = 0
    other_lens: int = 0


@dataclass
class CameraScan:
    """Takes the messages of one camera in the order of the log."""

    topics: CameraTopics
    rectified: bool
    _images: list[tuple[Header, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._infos = Calibrations(self.topics.infos, self.rectified)

    def image(self, raw: bytes, logged_ns: int) -> None:
        """A serialised image.

        Raises:
            struct.error, UnicodeDecodeError: it has no header.
        """
        self._images.append((read_header(raw), logged_ns))

    def info(self, raw: bytes, logged_ns: int) -> None:
        """A serialised camera_info.

        Raises:
            struct.error, SerdeError: it cannot be read.
        """
        self._infos.add(raw, logged_ns)

    def index(self, path: Path) -> CameraIndex:
        """What was found.

        Args:
            path: of the recording, for messages.

        Raises:
            UserError: no camera_info that can be used, images of two frames or of two runs.
        """
        if not len(self._infos):
            raise UserError(f"{path} has no message on {self.topics.infos}: record it as well")
        told = [(header.stamp_ns, logged_ns) for header, logged_ns in self._images]
        if sentence := two_runs(told, f"images on {self.topics.images}"):
            raise UserError(f"{path} {sentence}")
        stamped = [one for one in self._images if one[0].stamp_ns > 0]
        images = list({header.stamp_ns: (header, at) for header, at in reversed(stamped)}.values())
        kept, lens = self._of_one_lens(images)
        entries = (ImageEntry(header.stamp_ns, logged_ns) for header, logged_ns in kept)
        return CameraIndex(
            self.topics,
            tuple(sorted(entries, key=lambda entry: entry.stamp_ns)),
            lens,
            self._frame_id(path),
            recorded=len(self._images),
            without_stamp=len(self._images) - len(stamped),
            repeated=len(stamped) - len(images),
            other_lens=len(images) - len(kept),
        )

    def _of_one_lens(
        self, images: list[tuple[Header, int]]
    ) -> tuple[list[tuple[Header, int]], Lens | None]:
        """The images of the lens that most have."""
        groups: list[tuple[Lens, list[tuple[Header, int]]]] = []
        for image, lens in zip(images, self._infos.lenses(images), strict=True):
            if lens is None:
                continue
            group = next((found for first, found in groups if same_lens(first, lens)), None)
            if group is None:
                groups.append((lens, [image]))
            else:
                group.append(image)
        if not groups:
            if images:
                fault = "; ".join(self._infos.faults) or "no camera_info is as early as the images"
                raise UserError(f"{self.topics.infos}: {fault}")
            return [], None
        lens, kept = max(groups, key=lambda group: len(group[1]))
        return kept, lens

    def _frame_id(self, path: Path) -> str:
        frames = sorted({header.frame_id for header, _ in self._images if header.frame_id})
        if len(frames) > 1:
            raise UserError(
                f"{path}: images on {self.topics.images} are of several frames, "
                f"{', '.join(frames)}: let each camera publish on a topic of its own"
            )
        return image_frame("".join(frames), self._infos.frame_id)
