"""`kdbts predict`: depth and map of images, without ROS."""

from __future__ import annotations

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from kdbts_ros.cli import options
from kdbts_ros.cli.predictions import (
    Prediction,
    Predictions,
    image_files,
    integer_centres,
    result_names,
)
from kdbts_ros.datasets.kitti.files import split_frames
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.density.cameras.lenses import Lens
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.density.geometry.camera import Camera, View
from kdbts_ros.density.pipeline import Pipeline, PipelineSettings
from kdbts_ros.density.settings import Wanted
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_json
from kdbts_ros.evaluation.samples import open_kitti
from kdbts_ros.files import shown

# Of the shell, where some images gave no result; a mistake that leaves none is 2.
EXIT_SOME_FAILED = 1
# Of KITTI's colour camera, whose images the shipped weights know: pixels.
KITTI_WIDTH, KITTI_HEIGHT = 1242, 375


class Layout(str, Enum):
    """What SOURCE is."""

    IMAGES = "images"
    KITTI_RAW = "kitti-raw"
    KITTI_ODOMETRY = "kitti-odometry"
    KITTI_360 = "kitti-360"


def predict(
    source: Annotated[Path, typer.Argument(help="An image, a folder of images, or a dataset.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for PNG panels and .npz files.", callback=options.folder_to_write
        ),
    ],
    checkpoint: options.Checkpoint = "kdbts",
    dataset: Annotated[Layout, typer.Option("--dataset", help="What SOURCE is.")] = Layout.IMAGES,
    drive: Annotated[Optional[str], typer.Option("--drive", help="Drive of kitti-raw.")] = None,
    sequence: Annotated[Optional[str], typer.Option("--sequence", help="Of the others.")] = None,
    frames: Annotated[
        str, typer.Option("--frames", metavar="A:B", help="Frames A to B - 1.")
    ] = ":",
    intrinsics: Annotated[
        Optional[str],
        typer.Option(
            metavar="FX,FY,CX,CY",
            help="Of the images, pixels; default: square pixels, 81 degrees along the longer side.",
        ),
    ] = None,
    height: Annotated[float, typer.Option(min=0.05, help="Camera above the ground, m.")] = 1.65,
    pitch: Annotated[float, typer.Option(help="Camera looking down, degrees.")] = 0.0,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    force: Annotated[
        bool, typer.Option("--force", help="Replace files in --out that are of other images.")
    ] = False,
    json: options.Json = None,
) -> None:
    """Write a panel (camera, depth, map) and the arrays of every image.

    Results are named after the image without its suffix, or with it where two images differ in
    nothing else. An image that cannot be read is told and left out; the exit code is then 1.

    Example: `kdbts predict images/ --out predicted --intrinsics 721.5,721.5,609.6,172.9`
    """
    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False)
    predictions = Predictions(out, force)
    if dataset is Layout.IMAGES:
        paths, left_out = image_files(source)
        if left_out:
            console.print(f"left out, as no images: {', '.join(shown(p.name) for p in left_out)}")
        camera = Cameras(intrinsics, console)
        T_base_cam = mount((0.0, 0.0, height), pitch=float(np.radians(pitch)))
        posed = [
            Prediction(name, shown(path.resolve()), partial(camera.frame, path, T_base_cam))
            for path, name in zip(paths, result_names(paths), strict=True)
        ]
        predictions.refuse_overwriting(posed, paths)
    else:
        recorded = open_kitti(dataset.value, source, drive, sequence, split_frames(frames))
        posed = [
            Prediction(f"{i:06d}", f"{recorded.name} frame {i}", partial(recorded.frame, i))
            for i in recorded.frames
        ]
        predictions.refuse_overwriting(posed, ())
    pipeline = Pipeline(PipelineSettings(checkpoint, device, precision, head=head))
    for prediction in track(posed, "frames", console=console):
        try:
            frame = prediction.load()
            taken = next(iter(frame.views.values()))
            view = pipeline.view(
                taken.image, Lens(taken.camera), taken.T_world_cam, frame.T_world_base
            )
            result = pipeline.process(view, frame.T_world_base, Wanted(preview=True))
        except UserError as error:
            predictions.failed += 1
            console.print(f"no result: {error}")
            continue
        predictions.write(prediction, result, taken.camera)
    typer.echo(predictions.account())
    if json is not None:
        write_json(json, predictions.figures())
    if predictions.failed == len(posed):
        raise UserError(f"none of {len(posed)} images gave a result")
    if predictions.failed:
        raise typer.Exit(EXIT_SOME_FAILED)


class Cameras:
    """The camera of each image: the given one, or an assumed one that is told once per size."""

    def __init__(self, intrinsics: str | None, console: Console) -> None:
        self._intrinsics, self._console = intrinsics, console
        self._told: set[tuple[int, int]] = set()
        if intrinsics is not None:
            # A mistake in the option is one sentence, not one for each image.
            _camera(intrinsics, 1, 1)

    def frame(self, path: Path, T_base_cam: np.ndarray) -> PosedFrame:
        """An image as a frame of its own."""
        image = read_image(path)
        height, width = image.shape[:2]
        camera = _camera(self._intrinsics, width, height)
        if self._intrinsics is None and (width, height) not in self._told:
            self._told.add((width, height))
            fx, fy, cx, cy = integer_centres(camera)
            across = np.degrees(2 * np.arctan(max(width, height) / 2 / fx))
            self._console.print(
                f"no --intrinsics: images of {width}x{height} are taken for those of a camera with "
                f"square pixels that sees {across:.0f} degrees along the longer side, --intrinsics "
                f"{fx:.1f},{fy:.1f},{cx:.1f},{cy:.1f}; with another camera distances come out wrong"
            )
        return PosedFrame(0, {"left": View(image, camera, T_base_cam)}, np.eye(4))


def assumed_camera(width: int, height: int) -> Camera:
    """KITTI's colour camera with as many rows and columns as the image has: square pixels.

    Its 81 degrees go along the longer side; what a picture has more or less of the shorter one is
    evenly at both ends. An image of KITTI's shape gets KITTI's own camera.
    """
    kitti = TrainingCamera().camera(KITTI_WIDTH, KITTI_HEIGHT)
    scale = max(width, height) / KITTI_WIDTH
    return Camera(
        width,
        height,
        kitti.fx * scale,
        kitti.fx * scale,
        width / 2 + (kitti.cx - KITTI_WIDTH / 2) * scale,
        height / 2 + (kitti.cy - KITTI_HEIGHT / 2) * scale,
    )


def _camera(intrinsics: str | None, width: int, height: int) -> Camera:
    if intrinsics is None:
        return assumed_camera(width, height)
    fx, fy, cx, cy = options.split_intrinsics(intrinsics)
    return Camera.from_integer_centres(
        [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], width, height
    )
