"""Which Fast DDS profile the process ends up with."""

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("ament_index_python", reason="needs ROS 2's Python packages")

from kdbts_ros.doctor.machine import IMAGES_BYTES
from kdbts_ros.node import fastdds

NEW, OLD = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"


@pytest.fixture
def prefix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An installation without Fast DDS, and no profile named by the user."""
    for name in (NEW, OLD):
        # Set first, so that whatever the test leaves behind is undone.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    return tmp_path


def test_source_tree_holds_the_profile(prefix: Path) -> None:
    fastdds.use_large_messages()
    assert Path(os.environ[NEW]).name == "fastdds_large_messages.xml"
    assert Path(os.environ[NEW]).is_file()
    assert OLD not in os.environ


def test_each_way_of_an_image_has_room_for_images() -> None:
    """The parts of one image come faster than a thread takes them, whatever they come through."""
    path = fastdds.profile_file()
    assert path is not None
    sizes = {
        size.tag.rsplit("}")[-1]: int(size.text or 0)
        for size in ElementTree.parse(path).iter()
        if "size" in size.tag.lower()
    }
    assert sizes == {
        "segment_size": IMAGES_BYTES,
        "sendBufferSize": IMAGES_BYTES,
        "receiveBufferSize": IMAGES_BYTES,
    }


def test_installed_profile_comes_first(prefix: Path) -> None:
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/kdbts_ros").touch()
    (prefix / "share/kdbts_ros/config").mkdir(parents=True)
    profile = prefix / "share/kdbts_ros/config/fastdds_large_messages.xml"
    profile.touch()
    assert fastdds.large_message_environment() == {NEW: str(profile)}


@pytest.mark.parametrize(("package", "variable"), [("fastdds", NEW), ("fastrtps", OLD)])
def test_the_installed_generation_decides(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, package: str, variable: str
) -> None:
    (prefix / "share" / package).mkdir(parents=True)
    monkeypatch.setenv("ROS_DISTRO", "jazzy" if variable == NEW else "kilted")
    assert list(fastdds.large_message_environment()) == [variable]


def test_the_first_sourced_installation_decides(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prefix / "first/share/fastdds").mkdir(parents=True)
    (prefix / "second/share/fastrtps").mkdir(parents=True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}/first:{prefix}/second")
    assert fastdds.profile_variable() == NEW
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}/second:{prefix}/first")
    assert fastdds.profile_variable() == OLD


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [("humble", OLD), ("jazzy", OLD), ("kilted", NEW), ("lyrical", NEW), ("a_later_one", NEW)],
)
def test_where_no_fast_dds_is_found_the_distribution_decides(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, distribution: str, variable: str
) -> None:
    monkeypatch.setenv("ROS_DISTRO", distribution)
    assert list(fastdds.large_message_environment()) == [variable]


@pytest.mark.parametrize("name", [NEW, OLD])
def test_a_profile_of_the_user_stays(
    prefix: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/own.xml")
    fastdds.use_large_messages()
    assert {n: os.environ.get(n) for n in (NEW, OLD)} == {NEW: None, OLD: None, name: "/own.xml"}
