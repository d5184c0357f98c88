"""What is fed with damaged files: every reader of the package, on tiny valid inputs.

A target reads what lies in its folder and raises UserError, or gives what passes its own checks:
a number that is none is `Accepted`, which is a failure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


class Accepted(Exception):
    """A reader took what it must refuse."""


@dataclass(frozen=True)
class Target:
    """A reader.

    make: fills an empty folder with a valid input and names the files of it that are damaged, one
    at a time. read: reads the folder, of which one file is damaged, given its path.
    """

    name: str
    make: Callable[[Path], list[Path]]
    read: Callable[[Path, Path], object]


def finite(values: object, what: str) -> None:
    """Raise Accepted for numbers that are none."""
    if not np.isfinite(np.asarray(values, np.float64)).all():
        raise Accepted(f"{what} is {values!r:.200}")


def files(contents: dict[str, bytes]) -> Callable[[Path], list[Path]]:
    """Makes files, each of which is damaged in turn."""

    def make(folder: Path) -> list[Path]:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]

    return make


def check_drive(drive: Any, frames: int = 2) -> None:
    """Go through a drive as commands do."""
    for name in drive.cameras:
        camera = drive.camera(name)
        finite([camera.fx, camera.fy, camera.cx, camera.cy], f"camera {name}")
    for index in drive.frames:
        finite(drive.T_world_base(index), f"the pose of {index}")
        if not 0 <= drive.stamp_ns(index) < 1 << 63:
            raise Accepted(f"the stamp of {index} is {drive.stamp_ns(index)}")
    for index in drive.frames[:frames]:
        frame = drive.frame(index)
        for name, view in frame.views.items():
            finite(view.T_world_cam, f"the pose of {name}")
            if view.image.shape[:2] != (view.camera.height, view.camera.width):
                raise Accepted(f"the image of {name} is {view.image.shape}")


def images() -> Iterable[Target]:
    import cv2

    from kdbts_ros.datasets.ros.compressed_images import decode_compressed
    from kdbts_ros.encoded_images import read_image

    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (4, 6, 3), np.uint8), (24, 16))
    deep = picture.astype(np.uint16) * 256
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    contents = {
        "a.png": cv2.imencode(".png", picture)[1].tobytes(),
        "deep.png": cv2.imencode(".png", deep)[1].tobytes(),
        "a.jpg": cv2.imencode(".jpg", picture)[1].tobytes(),
        "progressive.jpg": cv2.imencode(".jpg", picture, progressive)[1].tobytes(),
        "a.bmp": cv2.imencode(".bmp", picture)[1].tobytes(),
    }
    more = {
        "a.webp": cv2.imencode(".webp", picture)[1].tobytes(),
        "a.tiff": cv2.imencode(".tiff", picture)[1].tobytes(),
        "deep.tiff": cv2.imencode(".tiff", deep)[1].tobytes(),
    }
    formats = (
        "rgb8; jpeg compressed bgr8",
        "bayer_rggb8; png compressed ",
        "16UC1; tiff compressed",
    )

    @dataclass
    class Message:
        format: str
        data: bytes

    def check(image: Any) -> None:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise Accepted(f"an image of {image.shape} {image.dtype}")

    def message(folder: Path, damaged: Path) -> None:
        content = damaged.read_bytes()
        check(decode_compressed(Message(formats[len(content) % 3], content)))

    yield Target("image files", files(contents), lambda _, damaged: check(read_image(damaged)))
    yield Target("compressed images", files(contents | more), message)


def weights() -> Iterable[Target]:
    import torch
    from safetensors.torch import save_file

    from kdbts_ros.density.checkpoints import checkpoint, original_keys, weight_files
    from kdbts_ros.density.checkpoints.checkpoint import save_network
    from kdbts_ros.density.network.network import DensityNetwork
    from kdbts_ros.learning.record.state_file import StateFile
    from test.density.networks import thin_spec

    state = {
        original_keys.ENCODER + "conv1.weight": torch.ones(2, 3, 2, 2),
        original_keys.ENCODER + "bn1.running_mean": torch.zeros(2),
        original_keys.DECODER + "10.conv.weight": torch.ones(2, 2, 1, 1),
        original_keys.HEAD_PREFIXES["bts"] + "lin_in.weight": torch.ones(2, 3),
    }

    def torch_files(folder: Path) -> list[Path]:
        torch.save({"model": state, "epoch": 3}, folder / "zip.pt")
        torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
        return [folder / "zip.pt", folder / "old.pt"]

    def read_torch(_: Path, damaged: Path) -> None:
        found = original_keys.strip_wrappers(weight_files.read_torch(damaged))
        original_keys.account(found, original_keys.choose_head(found, None))

    def tensors(folder: Path) -> list[Path]:
        texts = {"format": "kdbts_ros/1", "spec": "{}"}
        save_file({k[-10:]: v for k, v in state.items()}, folder / "small.safetensors", texts)
        return [folder / "small.safetensors"]

    def read_tensors(_: Path, damaged: Path) -> None:
        weight_files.read_header(damaged)
        weight_files.read_safetensors(damaged)

    size = 0

    def description(folder: Path) -> list[Path]:
        """The header alone is damaged; the weights behind it are zeros that take no disk."""
        nonlocal size
        network = DensityNetwork(thin_spec())
        whole = save_network(folder / "whole", network, {"camera": "{}", "calibration": "{}"})
        content = whole.read_bytes()
        length = 8 + int.from_bytes(content[:8], "little")
        size = len(content) - length
        header = json.loads(content[8:length])
        texts = {name: folder / name for name in ("spec", "notes")}
        for name, path in texts.items():
            path.write_text(header["__metadata__"][name])
        (folder / "header").write_bytes(content[8:length])
        whole.unlink()
        return [folder / "header", *texts.values()]

    def read_description(folder: Path, damaged: Path) -> None:
        header = (folder / "header").read_bytes()
        if damaged.name != "header":
            content = json.loads(header)
            content["__metadata__"][damaged.name] = damaged.read_bytes().decode("utf-8", "replace")
            header = json.dumps(content).encode()
        with (folder / "x.safetensors").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(file.tell() + size)
        # All that is decided by a description; reading the zeros behind it would take a second.
        path = folder / "x.safetensors"
        found = weight_files.read_header(path)
        described = checkpoint._described(found, path)
        expected = checkpoint.expected_shapes(described.spec)
        counters = {k: v for k, v in expected.items() if k.endswith("num_batches_tracked")}
        checkpoint._check_shapes(expected, {**found.shapes, **counters}, path)
        finite(described.spec.depths, "the range of depth")

    def states(folder: Path) -> list[Path]:
        StateFile(folder / "state.pt").save(
            {"network": state, "position": {"step": 3}, "network_config": "{}", "made_from": "{}"}
        )
        return [folder / "state.pt"]

    def read_state(_: Path, damaged: Path) -> None:
        for value in StateFile(damaged).load().get("network", {}).values():
            if isinstance(value, torch.Tensor):
                finite(value.float(), "a weight")

    yield Target("original checkpoints", torch_files, read_torch)
    yield Target("safetensors", tensors, read_tensors)
    yield Target("descriptions of checkpoints", description, read_description)
    yield Target("training states", states, read_state)


def notes() -> Iterable[Target]:
    from kdbts_ros.cli.predictions import _source
    from kdbts_ros.datasets.kitti.splits import read_split
    from kdbts_ros.density.cameras.training_camera import TrainingCamera
    from kdbts_ros.density.maps.probability import read_note
    from kdbts_ros.learning.config.config_file import load_config
    from kdbts_ros.learning.record.history import METRICS, read_history

    root = Path(__file__).resolve().parents[2]
    curve = b'{"half": 0.5, "steepness": 1.5, "ceiling": 0.9}'
    texts = {
        "camera": TrainingCamera().note().encode(),
        "calibration": b'{"bts": {"observed": null, "occupied_from": 0.5, "completed": '
        + curve
        + b"}}",
    }

    def read_notes(_: Path, damaged: Path) -> None:
        text = damaged.read_bytes().decode("utf-8", "replace")
        if damaged.name == "camera":
            camera = TrainingCamera.from_notes({"camera": text})
            finite([camera.fx, camera.fy, camera.cx, camera.cy], "a training camera")
        else:
            read_note(text)

    def configs(folder: Path) -> list[Path]:
        sources = sorted((root / "config/training").glob("*.yaml"))[:6]
        return files({source.name: source.read_bytes() for source in sources})(folder)

    def results(folder: Path) -> list[Path]:
        np.savez_compressed(folder / "x.npz", source=np.array("image.png"), depth=np.ones((2, 2)))
        return [folder / "x.npz"]

    lines = (
        b'{"time": 1.0, "step": 1, "stage": 0, "loss": 0.5}\n{"step": 2, "watched": {"iou": 0.5}}\n'
    )
    metrics = files({METRICS: lines + b'{"resumed": 1, "step": 1}\n{"step": 2, "loss": 0.4}\n'})
    split = files({"split.txt": b"2011_09_26/2011_09_26_drive_0009_sync 16 l\n2013 0000 r\n"})
    yield Target("notes of checkpoints", files(texts), read_notes)
    yield Target("training settings", configs, lambda _, damaged: load_config(damaged))
    yield Target("earlier results", results, lambda _, damaged: _source(damaged))
    yield Target("metrics of a run", metrics, lambda _, damaged: read_history(damaged.parent).step)
    yield Target("splits", split, lambda _, damaged: read_split(damaged))


def all_targets() -> list[Target]:
    from test.fuzz.drive_targets import depth_messages, drives, messages, recordings

    sources = (images, weights, notes, drives, recordings, messages, depth_messages)
    return [target for source in sources for target in source()]
