"""Room for camera images in Fast DDS's shared memory.

Its default segment holds 512 KiB; a larger image goes in fragments, of which best effort loses
some, and with them the image.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_OLD_DISTRIBUTIONS = ("humble", "iron", "jazzy")
_PROFILE = Path("config") / "fastdds_large_messages.xml"


def profile_file() -> Path | None:
    """The package's profile, installed or in the source tree; None where neither holds it."""
    places = [Path(__file__).resolve().parents[2]]
    # OSError: a plain `pip install`, where AMENT_PREFIX_PATH is not set.
    with suppress(PackageNotFoundError, OSError):
        places.insert(0, Path(get_package_share_directory("kdbts_ros")))
    return next((p / _PROFILE for p in places if (p / _PROFILE).is_file()), None)


def profile_variable() -> str:
    """The variable that the installed Fast DDS reads.

    Version 3 (ROS 2 Kilted on) warns of the old name and reads the file twice if both are set;
    version 2 (Humble, Jazzy), whose package is still called fastrtps, does not know the new one.
    """
    new, old = _VARIABLES
    for prefix in filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        for package, variable in (("fastdds", new), ("fastrtps", old)):
            if (Path(prefix) / "share" / package).is_dir():
                return variable
    return old if os.environ.get("ROS_DISTRO") in _OLD_DISTRIBUTIONS else new


def large_message_environment() -> dict[str, str]:
    """What to add to a process's environment; empty if the user has named a profile."""
    profile = profile_file()
    if profile is None or any(os.environ.get(name) for name in _VARIABLES):
        return {}
    return {profile_variable(): str(profile)}


def use_large_messages() -> None:
    """Name the profile to Fast DDS unless the user has named one; call it before rclpy.init."""
    os.environ.update(large_message_environment())
