"""Room for camera images in Fast DDS's shared memory.

Its default segment holds 512 KiB; a larger image goes in fragments, of which best effort loses
some, and with them the image.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

# Fast DDS 3 reads the first (ROS 2 Kilted on), Fast DDS 2 the second (Humble, Jazzy).
_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
_PROFILE = Path("config") / "fastdds_large_messages.xml"


def profile_file() -> Path | None:
    """The package's profile, installed or in the source tree; None where neither holds it."""
    places = [Path(__file__).resolve().parents[2]]
    with suppress(PackageNotFoundError, OSError):  # OSError: no AMENT_PREFIX_PATH
        places.insert(0, Path(get_package_share_directory("kdbts_ros")))
    return next((p / _PROFILE for p in places if (p / _PROFILE).is_file()), None)


def use_large_messages() -> None:
    """Name the profile to Fast DDS unless the user has named one; call it before rclpy.init."""
    profile = profile_file()
    if profile is None or any(os.environ.get(name) for name in _VARIABLES):
        return
    for name in _VARIABLES:
        os.environ[name] = str(profile)
