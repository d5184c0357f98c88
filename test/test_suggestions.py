"""A name that is nearly right gets the right one, wherever a user may write it."""

from __future__ import annotations

import inspect
import sys

import pytest
import typer

from kdbts_ros.cli.main import app, register, run
from kdbts_ros.datasets.bags.topics import CAMERA_INFO, IMAGE, camera_topics
from kdbts_ros.density.checkpoints.checkpoint import resolve
from kdbts_ros.errors import UserError
from kdbts_ros.node.parameters.table import check
from kdbts_ros.suggestions import closest, did_you_mean

TOPICS = {
    "/front/image_raw": IMAGE,
    "/front/camera_info": CAMERA_INFO,
    "/rear/image_raw": IMAGE,
    "/rear/camera_info": CAMERA_INFO,
}


def test_the_nearest_name_is_offered_and_nothing_far_fetched() -> None:
    names = ["range_m", "resolution", "height_min"]
    assert closest("rangem", names) == "range_m"
    assert closest("Resolution", names) == "resolution"
    assert closest("colour", names) is None
    assert did_you_mean("rangem", names) == ", did you mean 'range_m'?"
    assert did_you_mean("range_m", names) == did_you_mean("colour", names) == ""
    assert closest("x", []) is None


def test_a_topic_is_like_another_one_only_as_a_whole() -> None:
    assert closest("/front/image_rwa", TOPICS) == "/front/image_raw"
    assert closest("/scan", TOPICS) is None
    # What lies in a namespace is meant, however long the namespace's name is.
    assert closest("/image", ["/a_robot_of_a_fleet/image", "/b/depth"]) == (
        "/a_robot_of_a_fleet/image"
    )
    assert closest("/image", ["/image", "/b/image"]) == "/image"


def test_parameters() -> None:
    with pytest.raises(UserError, match=r"unknown parameter 'rangem', did you mean 'range_m'\?"):
        check("rangem", 3.0)


def test_weights() -> None:
    with pytest.raises(UserError, match=r"shipped: .*\), did you mean 'mvbts_fine'\?"):
        resolve("mvbts_fin")
    with pytest.raises(UserError, match=r"\(shipped: [^?]*\)$"):
        resolve("/no/such/file.safetensors")


def test_topics_and_cameras_of_a_recording() -> None:
    with pytest.raises(UserError, match=r"did you mean '/rear/image_raw'\?"):
        camera_topics(TOPICS, ["/rear/image_rw"], "bag")
    with pytest.raises(UserError, match=r"no camera frnt; it has .*, did you mean 'front'\?"):
        camera_topics(TOPICS, ["frnt"], "bag")
    with pytest.raises(UserError, match=r"did you mean '/front/camera_info'\?"):
        camera_topics(TOPICS, ["/front/image_raw=/front/camera_inf"], "bag")


@pytest.mark.skipif(
    "suggest_commands" not in inspect.signature(typer.Typer).parameters,
    reason="this typer has no suggestions",
)
def test_commands_and_options(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    for words, meant in ((["evalaute"], "'evaluate'"), (["info", "--hea", "x"], "--head")):
        monkeypatch.setattr(sys, "argv", ["kdbts", *words])
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code == 2
        assert meant in capfd.readouterr().err


def test_the_shell_completes(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    """What the function that `kdbts --install-completion` installs asks for."""
    register()
    asked = {"_KDBTS_COMPLETE": "complete_bash", "COMP_WORDS": "kdbts eval", "COMP_CWORD": "1"}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        app(prog_name="kdbts")
    assert not ended.value.code
    assert capfd.readouterr().out.split() == ["evaluate"]
