"""Which images are predicted, what their results are called, and that none is lost to another."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.density.frame_result import FrameResult
from kdbts_ros.density.geometry.camera import Camera
from kdbts_ros.errors import UserError
from kdbts_ros.files import make_folder, shown, write_png, writing
from kdbts_ros.reading import foreign

# A path has 4096 characters at most, of four bytes each.
_LONGEST_SOURCE = 20_000
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp"}


@dataclass(frozen=True)
class Prediction:
    """An image to be predicted: name of its results, which image it is, and how it is read."""

    name: str
    source: str
    load: Callable[[], PosedFrame]


def image_files(source: Path) -> tuple[list[Path], list[Path]]:
    """The images of a folder, or the one that is named; and the hidden files of a folder.

    What macOS leaves beside images on foreign disks (`._1.png`) has their suffix and is none.

    Raises:
        UserError: there is no image.
    """
    if not source.exists():
        raise UserError(f"{shown(source)} does not exist; name an image or a folder of images")
    with_suffix = ", ".join(sorted(IMAGE_SUFFIXES))
    if not source.is_dir():
        if source.suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(f"{shown(source)} is no image ({with_suffix})")
        return [source], []
    try:
        inside = sorted(source.iterdir())
    except OSError as error:
        raise UserError(f"{shown(source)} cannot be read: {error.strerror}") from None
    files = [
        p for p in inside if p.suffix.lower() in IMAGE_SUFFIXES and (p.is_file() or p.is_symlink())
    ]
    hidden = [p for p in files if p.name.startswith(".")]
    images = [p for p in files if not p.name.startswith(".")]
    if not images:
        raise UserError(f"{shown(source)} holds no image ({with_suffix})")
    return images, hidden


def result_names(images: Sequence[Path]) -> list[str]:
    """A name for the results of each image, all different, whatever was already predicted.

    Without the suffix; with it for images that differ in nothing else, on a disk that may not tell
    capitals apart.
    """
    alike = Counter(path.stem.casefold() for path in images)
    names = [p.stem if alike[p.stem.casefold()] == 1 else p.name for p in images]
    if len(set(names)) < len(names):
        return [path.name for path in images]
    return names


def integer_centres(camera: Camera) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy as `--intrinsics`, OpenCV and CameraInfo count them."""
    return camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5


class Predictions:
    """Results in a folder: `NAME.png` and `NAME.npz`, which says which image it is of.

    force: replace whatever has their names.
    """

    def __init__(self, folder: Path, force: bool) -> None:
        self._folder, self._force = folder, force
        self.written = self.replaced = self.failed = 0

    def files(self, name: str) -> tuple[Path, Path]:
        """Panel and arrays. Names have dots of their own: nothing is taken for a suffix."""
        return self._folder / f"{name}.png", self._folder / f"{name}.npz"

    def refuse_overwriting(self, wanted: Sequence[Prediction], images: Sequence[Path]) -> None:
        """Before the first: what is in the way, unless it is of the same image.

        Raises:
            UserError: an image itself would be replaced, or, without `force`, another file.
        """
        own = {path.resolve() for path in images}
        others = []
        for prediction in wanted:
            there = [file for file in self.files(prediction.name) if file.exists()]
            if any(file.resolve() in own for file in there):
                raise UserError(
                    f"{shown(self._folder)} holds the images themselves, whose names the panels "
                    "would take: name another --out"
                )
            if there and _source(self.files(prediction.name)[1]) != prediction.source:
                others += there
        if others and not self._force:
            more = f" and {len(others) - 3} more" if others[3:] else ""
            raise UserError(
                f"{', '.join(shown(file) for file in others[:3])}{more} would be replaced, and "
                "are not of the same image: name another --out, or give --force"
            )

    def write(self, prediction: Prediction, result: FrameResult, camera: Camera) -> None:
        """Write the results of one image.

        Raises:
            UserError: the disk refuses.
        """
        assert result.preview is not None
        assert result.depth is not None
        panel, arrays = self.files(prediction.name)
        self.replaced += panel.exists() or arrays.exists()
        make_folder(self._folder)
        write_png(panel, result.preview)
        window = result.window
        with writing(arrays), arrays.open("wb") as file:
            np.savez_compressed(
                file,
                occupancy=result.trinary,
                probability=result.occupancy.probability,
                observed=result.occupancy.observed,
                origin=np.array([window.x0, window.y0]),
                resolution=np.array(window.resolution),
                depth=result.depth,
                intrinsics=np.array(integer_centres(camera)),
                source=np.array(prediction.source),
            )
        self.written += 1

    def account(self) -> str:
        """What is in the folder now, and what is not."""
        said = f"{self.written} panels and .npz files in {shown(self._folder)}"
        if self.replaced:
            said += f", {self.replaced} of them in the place of earlier ones"
        if self.failed:
            said += f"; {self.failed} of {self.written + self.failed} images gave no result"
        return said

    def figures(self) -> dict[str, object]:
        """What --json writes."""
        counts = {"written": self.written, "replaced": self.replaced, "failed": self.failed}
        return {"folder": shown(self._folder), **counts}


def _source(arrays: Path) -> str | None:
    """Which image earlier results are of; None where they do not say."""
    try:
        with zipfile.ZipFile(arrays) as archive:
            if archive.getinfo("source.npy").file_size > _LONGEST_SOURCE:
                return None
        with np.load(arrays, allow_pickle=False) as earlier:
            return str(earlier["source"])
    except foreign("numpy", "zip"):
        return None
