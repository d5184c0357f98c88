"""`kdbts predict`: every image keeps its own result, and one that cannot be read ends no run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from kdbts_ros.cli import predict
from kdbts_ros.cli.main import run
from kdbts_ros.cli.predict import assumed_camera
from kdbts_ros.cli.predictions import result_names
from kdbts_ros.density.cameras.training_camera import TrainingCamera
from kdbts_ros.encoded_images import read_image
from kdbts_ros.errors import UserError
from kdbts_ros.files import write_png


class Mirror:
    """Stands in for the network: its panel is the image, its depth the shade of the image."""

    def __init__(self, settings: object) -> None:
        pass

    def view(self, image: Any, lens: Any, T_world_cam: Any, T_world_base: Any) -> Any:
        return image

    def process(self, view: Any, T_world_base: Any, wanted: Any) -> Any:
        cells = np.zeros((4, 4))
        return SimpleNamespace(
            preview=view,
            depth=np.full((2, 2), float(view.mean())),
            trinary=cells,
            occupancy=SimpleNamespace(probability=cells, observed=cells > 0),
            window=SimpleNamespace(x0=0.0, y0=0.0, resolution=0.2),
        )


@pytest.fixture(autouse=True)
def without_a_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(predict, "Pipeline", Mirror)
    monkeypatch.chdir(tmp_path)


def kdbts(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["kdbts", "predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        run()
    return int(ended.value.code or 0)


def picture(path: Path, shade: int, size: tuple[int, int] = (8, 16)) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, np.full((*size, 3), shade, np.uint8))
    assert done
    path.write_bytes(data.tobytes())
    return data.tobytes()


def shades(out: Path) -> dict[str, int]:
    """Of every result, the shade of the image it was made from."""
    found = {}
    for file in sorted(out.glob("*.npz")):
        with np.load(file) as arrays:
            found[file.name] = round(float(arrays["depth"][0, 0]))
        assert (out / (file.name.removesuffix(".npz") + ".png")).is_file()
    return found


def test_every_image_keeps_its_own_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Stamps as names, whose dots begin no suffix, and names that differ in the suffix alone."""
    names = ["1305031102.175304.png", "1305031102.175999.png", "a.png", "a.bmp", "A.PNG", "b.png"]
    for shade, name in enumerate(names):
        picture(tmp_path / "in" / name, 10 + shade)
    assert kdbts(monkeypatch, "in", "--out", "out") == 0
    assert shades(tmp_path / "out") == {
        "1305031102.175304.npz": 10,
        "1305031102.175999.npz": 11,
        "a.png.npz": 12,
        "a.bmp.npz": 13,
        "A.PNG.npz": 14,
        "b.npz": 15,
    }
    assert "6 panels and .npz files in out" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("images", "names"),
    [
        (["a.png", "b.jpg"], ["a", "b"]),
        (["a.png", "a.jpg", "b.jpg"], ["a.png", "a.jpg", "b"]),
        # The long name of one is the short name of another.
        (["a.png", "a.jpg", "a.jpg.png"], ["a.png", "a.jpg", "a.jpg.png"]),
    ],
)
def test_names_of_results_differ_whatever_the_images_are_called(
    images: list[str], names: list[str]
) -> None:
    assert result_names([Path(image) for image in images]) == names


def test_results_of_other_images_are_not_replaced_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    picture(tmp_path / "monday" / "street.png", 10)
    picture(tmp_path / "friday" / "street.png", 20)
    assert kdbts(monkeypatch, "monday", "--out", "out") == 0
    capfd.readouterr()
    assert kdbts(monkeypatch, "friday", "--out", "out") == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "out/street.png, out/street.npz would be replaced" in line and "--force" in line
    assert shades(tmp_path / "out") == {"street.npz": 10}
    # The same image once more, as after another --height: its own results, and counted as such.
    assert kdbts(monkeypatch, "monday/street.png", "--out", "out") == 0
    assert "1 of them in the place of earlier ones" in capfd.readouterr().out
    assert kdbts(monkeypatch, "friday", "--out", "out", "--force") == 0
    assert shades(tmp_path / "out") == {"street.npz": 20}


def test_images_are_never_replaced_by_their_panels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    data = picture(tmp_path / "in" / "street.png", 10)
    assert kdbts(monkeypatch, "in", "--out", "in", "--force") == 2
    assert "holds the images themselves" in capfd.readouterr().err
    assert (tmp_path / "in" / "street.png").read_bytes() == data


def test_what_cannot_be_read_is_told_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    png, jpg, bmp = (picture(folder / f"good.{s}", 50, (64, 64)) for s in ("png", "jpg", "bmp"))
    (folder / "._good.png").write_bytes(b"\0\5\x16\7Mac OS X")
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf")
    (folder / "folder.png").mkdir()
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("not an image")
    (folder / "link.png").symlink_to("nowhere")
    # OpenCV fills what is missing of these with grey, and says nothing.
    for name, whole in (("cut.png", png), ("cut.jpg", jpg), ("cut.bmp", bmp)):
        (folder / name).write_bytes(whole[: len(whole) * 3 // 4])
    assert kdbts(monkeypatch, "in", "--out", "out") == predict.EXIT_SOME_FAILED
    said = capfd.readouterr()
    assert list(shades(tmp_path / "out")) == ["good.bmp.npz", "good.jpg.npz", "good.png.npz"]
    assert "3 panels and .npz files in out; 6 of 9 images gave no result" in said.out
    assert "left out, as no images: ._good.png" in said.err
    for name in ("empty.png", "text.jpg", "link.png", "cut.png", "cut.jpg", "cut.bmp"):
        assert sum(f"/{name} " in line for line in said.err.splitlines()) == 1, name
    assert "Thumbs.db" not in said.err
    assert kdbts(monkeypatch, "in/cut.png", "--out", "out") == 2


def test_any_name_that_a_disk_holds_is_read_written_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """OpenCV itself crashes on a name that is not UTF-8, and print raises."""
    latin = os.fsdecode(b"stra\xdfe")
    picture(tmp_path / latin / "b[red].png", 30)
    (tmp_path / latin / f"{latin}.png").write_bytes(b"no image")
    assert kdbts(monkeypatch, latin, "--out", f"out{latin}") == predict.EXIT_SOME_FAILED
    said = capfd.readouterr()
    assert "1 panels and .npz files in outstra\\xdfe" in said.out
    assert "stra\\xdfe.png is not a readable" in said.err
    assert shades(tmp_path / f"out{latin}") == {"b[red].npz": 30}
    write_png(tmp_path / f"{latin}.png", np.full((2, 2, 3), (1, 2, 3), np.uint8))
    assert read_image(tmp_path / f"{latin}.png")[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("size", [(1242, 375), (1920, 1080), (640, 480), (1080, 1920), (100, 100)])
def test_without_intrinsics_pixels_are_square_and_the_longer_side_sees_81_degrees(
    size: tuple[int, int],
) -> None:
    camera = assumed_camera(*size)
    assert camera.fx == camera.fy
    assert np.degrees(2 * np.arctan(max(size) / 2 / camera.fx)) == pytest.approx(81.4, abs=0.1)
    # Near the middle, by KITTI's few pixels.
    assert abs(camera.cx / size[0] - 0.5) < 0.02
    assert abs(camera.cy - size[1] / 2) < 0.015 * max(size)


def test_images_of_kittis_shape_get_kittis_camera() -> None:
    kitti, assumed = TrainingCamera().camera(1242, 375), assumed_camera(1242, 375)
    for name in ("fx", "fy", "cx", "cy"):
        assert getattr(assumed, name) == pytest.approx(getattr(kitti, name), abs=1e-9)


def test_the_assumed_camera_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name, 1, (90, 160))
    assert kdbts(monkeypatch, "in", "--out", "out") == 0
    said = capfd.readouterr().err
    assert said.count("no --intrinsics: images of 160x90") == 1
    assert "81 degrees along the longer side" in said
    with np.load(tmp_path / "out" / "a.npz") as arrays:
        text = ",".join(f"{value:.1f}" for value in arrays["intrinsics"])
    assert f"--intrinsics {text}" in said
    given = ("--intrinsics", text, "--out", "given")
    assert kdbts(monkeypatch, "in", *given) == 0
    assert "no --intrinsics" not in capfd.readouterr().err
    assert kdbts(monkeypatch, "in", "--intrinsics", "1,2,x,4", "--out", "given") == 2


def test_a_picture_beyond_all_sizes_is_one_sentence(tmp_path: Path) -> None:
    header = b"BM" + (54).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + (60_000).to_bytes(4, "little") * 2
    (tmp_path / "huge.bmp").write_bytes(header + b"\1\0\x18\0" + bytes(24))
    with pytest.raises(
        UserError, match=r"huge\.bmp claims 60000x60000 pixels, more than the 40 million"
    ):
        read_image(tmp_path / "huge.bmp")
