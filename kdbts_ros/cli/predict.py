"""`kdbts predict`: depth and map of images, without ROS."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from kdbts_ros.cli import options
from kdbts_ros.datasets.kitti_files import read_image, split_frames
from kdbts_ros.datasets.sample import PosedFrame
from kdbts_ros.datasets.synthetic.rig import mount, training_camera
from kdbts_ros.density.camera import Camera, View
from kdbts_ros.density.lenses import Lens
from kdbts_ros.density.pipeline import FrameResult, Pipeline, PipelineSettings
from kdbts_ros.density.request import Wanted
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.report import write_png
from kdbts_ros.evaluation.samples import open_kitti

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp"}


class Layout(str, Enum):
    """What SOURCE is."""

    IMAGES = "images"
    KITTI_RAW = "kitti-raw"
    KITTI_ODOMETRY = "kitti-odometry"
    KITTI_360 = "kitti-360"


def predict(
    source: Annotated[Path, typer.Argument(help="An image, a folder of images, or a dataset.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for PNG panels and .npz files.")],
    checkpoint: options.Checkpoint = "kdbts",
    dataset: Annotated[Layout, typer.Option("--dataset", help="What SOURCE is.")] = Layout.IMAGES,
    drive: Annotated[Optional[str], typer.Option("--drive", help="Drive of kitti-raw.")] = None,
    sequence: Annotated[Optional[str], typer.Option("--sequence", help="Of the others.")] = None,
    frames: Annotated[
        str, typer.Option("--frames", metavar="A:B", help="Frames A to B - 1.")
    ] = ":",
    intrinsics: Annotated[
        Optional[str],
        typer.Option(metavar="FX,FY,CX,CY", help="Of the images, pixels; default KITTI-like."),
    ] = None,
    height: Annotated[float, typer.Option(min=0.05, help="Camera above the ground, m.")] = 1.65,
    pitch: Annotated[float, typer.Option(help="Camera looking down, degrees.")] = 0.0,
    head: options.Head = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Write a panel (camera, depth, map) and the arrays of every image.

    Example: `kdbts predict images/ --out predicted --intrinsics 721.5,721.5,609.6,172.9`
    """
    if dataset is Layout.IMAGES:
        posed = _image_frames(source, intrinsics, height, pitch)
    else:
        recorded = open_kitti(dataset.value, source, drive, sequence, split_frames(frames))
        posed = [(f"{index:06d}", partial(recorded.frame, index)) for index in recorded.frames]
    pipeline = Pipeline(PipelineSettings(checkpoint, device, precision, head=head))
    out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    if dataset is Layout.IMAGES and intrinsics is None:
        console.print("no --intrinsics given: taking the images for KITTI's, 81 degrees wide")
    for name, load in track(posed, "frames", console=console):
        frame = load()
        taken = next(iter(frame.views.values()))
        lens = Lens(taken.camera)
        view = pipeline.view(taken.image, lens, taken.T_world_cam, frame.T_world_base)
        result = pipeline.process(view, frame.T_world_base, Wanted(preview=True))
        _write(out / name, result)
    Console().print(f"{len(posed)} panels and .npz files in {out}")


def _image_frames(
    source: Path, intrinsics: str | None, height: float, pitch: float
) -> list[tuple[str, Callable[[], PosedFrame]]]:
    if not source.exists():
        raise UserError(f"{source} does not exist; name an image or a folder of images")
    paths = sorted(source.iterdir()) if source.is_dir() else [source]
    paths = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
    if not paths:
        raise UserError(f"{source} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    T_base_cam = mount((0.0, 0.0, height), pitch=float(np.radians(pitch)))

    def load(path: Path) -> PosedFrame:
        image = read_image(path)
        camera = _camera(intrinsics, image.shape[1], image.shape[0])
        return PosedFrame(0, {"left": View(image, camera, T_base_cam)}, np.eye(4))

    return [(path.stem, partial(load, path)) for path in paths]


def _camera(intrinsics: str | None, width: int, height: int) -> Camera:
    if intrinsics is None:
        return training_camera(width, height)
    try:
        fx, fy, cx, cy = (float(part) for part in intrinsics.split(","))
    except ValueError:
        raise UserError(
            f"--intrinsics must be four numbers FX,FY,CX,CY, got '{intrinsics}'"
        ) from None
    return Camera.from_integer_centres(
        [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], width, height
    )


def _write(stem: Path, result: FrameResult) -> None:
    assert result.preview is not None
    assert result.depth is not None
    write_png(stem.with_suffix(".png"), result.preview)
    window = result.window
    np.savez_compressed(
        stem.with_suffix(".npz"),
        occupancy=result.trinary,
        probability=result.occupancy.probability,
        observed=result.occupancy.observed,
        origin=np.array([window.x0, window.y0]),
        resolution=np.array(window.resolution),
        depth=result.depth,
    )
