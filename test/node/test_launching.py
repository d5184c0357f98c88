"""What the launch files decide, where launch itself is not installed either."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdbts_ros.errors import UserError
from kdbts_ros.node import launching


@pytest.fixture
def prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A sourced installation without packages, on a machine without a screen."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/no_such_prefix:{tmp_path}")
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def install(prefix: Path, package: str, program: str = "") -> None:
    known = prefix / "share/ament_index/resource_index/packages" / package
    known.parent.mkdir(parents=True, exist_ok=True)
    known.touch()
    if program:
        (prefix / "lib" / package).mkdir(parents=True)
        (prefix / "lib" / package / program).touch()


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "True", " ON "])
def test_words_that_mean_on(word: str) -> None:
    assert launching.switch("loop", word) is True


@pytest.mark.parametrize("word", ["false", "0", "no", "off", "OFF"])
def test_words_that_mean_off(word: str) -> None:
    assert launching.switch("loop", word) is False


@pytest.mark.parametrize("word", ["", "treu", "2", "auto"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"loop:=.*true or false"):
        launching.switch("loop", word)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "fast", ""])
def test_what_is_no_positive_number_is_refused(text: str) -> None:
    assert launching.number("rate", "0.5") == 0.5
    with pytest.raises(UserError, match="rate:="):
        launching.number("rate", text)


def test_rviz_that_is_asked_for_and_missing_is_left_out_with_a_sentence(prefix: Path) -> None:
    decision = launching.rviz("true")
    assert not decision.start
    assert "not installed" in decision.sentence and "ros-jazzy-rviz2" in decision.sentence


def test_a_package_without_its_program_is_missing(prefix: Path) -> None:
    install(prefix, "rviz2")
    assert not launching.rviz("true").start


def test_rviz_starts_where_it_is_asked_for(prefix: Path) -> None:
    install(prefix, "rviz2", "rviz2")
    assert launching.rviz("true") == launching.Decision(True)
    assert launching.rviz("off") == launching.Decision(False)


def test_auto_needs_rviz_and_a_screen(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launching.rviz("auto") == launching.Decision(False)
    install(prefix, "rviz2", "rviz2")
    assert launching.rviz("auto") == launching.Decision(False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert launching.rviz("auto") == launching.Decision(True)


def test_another_choice_of_rviz_is_refused(prefix: Path) -> None:
    with pytest.raises(UserError, match="true, false or auto"):
        launching.rviz("perhaps")


def test_a_replay_that_cannot_be_is_refused(prefix: Path) -> None:
    bag = str(prefix)
    launching.check_replay(bag, "kdbts")
    with pytest.raises(UserError, match="ros2bag or kdbts"):
        launching.check_replay(bag, "vlc")
    with pytest.raises(UserError, match="no such file"):
        launching.check_replay(str(prefix / "gone"), "kdbts")
    with pytest.raises(UserError, match="player:=kdbts"):
        launching.check_replay(bag, "ros2bag")
    install(prefix, "ros2bag")
    launching.check_replay(bag, "ros2bag")


def test_transforms_are_those_of_all_robots_or_of_the_namespace() -> None:
    assert launching.transform_topics("false") == []
    assert launching.transform_topics("on") == [("/tf", "tf"), ("/tf_static", "tf_static")]
    below = launching.transform_topics("true", "/robot1")
    assert below == [("/tf", "/robot1/tf"), ("/tf_static", "/robot1/tf_static")]
    with pytest.raises(UserError, match="namespaced_tf:=both"):
        launching.transform_topics("both")


def test_robots_are_told_apart_by_their_namespaces() -> None:
    assert launching.split_robots("robot1, /fleet/robot2/") == ["robot1", "fleet/robot2"]
    for text in ("", "robot1,", "1st", "a b", "a//b"):
        with pytest.raises(UserError, match=r"robots:=.*begin with a letter"):
            launching.split_robots(text)
    with pytest.raises(UserError, match="names a robot twice"):
        launching.split_robots("a,b,/a")


def test_without_nav2_there_is_no_costmap(prefix: Path) -> None:
    with pytest.raises(UserError, match=r"costmap_2d is not installed.*ros-jazzy-navigation2"):
        launching.check_nav2()
    install(prefix, "nav2_costmap_2d", "nav2_costmap_2d")
    with pytest.raises(UserError, match="nav2_lifecycle_manager is not installed"):
        launching.check_nav2()
    install(prefix, "nav2_lifecycle_manager", "lifecycle_manager")
    launching.check_nav2()


STATIC_LAYER = Path(__file__).resolve().parents[2] / "config" / "nav2_static_layer.yaml"


@pytest.mark.parametrize(
    ("namespace", "topic"),
    [
        ("", "/kdbts/occupancy"),
        ("robot1", "/robot1/kdbts/occupancy"),
        ("/a/b/", "/a/b/kdbts/occupancy"),
    ],
)
def test_a_costmap_listens_to_the_node_of_its_namespace(namespace: str, topic: str) -> None:
    parameters = launching.costmap_parameters(str(STATIC_LAYER), namespace)
    assert parameters["kdbts_layer"]["map_topic"] == topic
    assert parameters["obstacle_layer"]["scan"]["topic"] == "/scan", "a topic of somebody else"
    assert parameters["plugins"][0] == "kdbts_layer" and parameters["rolling_window"] is True


@pytest.mark.parametrize(
    "content", ["", "a: 1", "local_costmap: 3", "local_costmap: {local_costmap: {}}", "[1", "\t"]
)
def test_a_file_without_a_costmap_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nav2.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"costmap_params_file:=.*nav2\.yaml") as told:
        launching.costmap_parameters(str(path), "")
    assert "\n" not in str(told.value)


def test_a_missing_costmap_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="costmap_params_file:="):
        launching.costmap_parameters(str(tmp_path / "gone.yaml"), "")
