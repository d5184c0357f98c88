"""What is compared, by the kind of place: `kdbts evaluate occupancy`, `calibrate` and `adapt`."""

from __future__ import annotations

from kdbts_ros.density.maps.grid import HeightBand
from kdbts_ros.evaluation.columns import Box
from kdbts_ros.evaluation.occupancy import OccupancySettings, compared
from kdbts_ros.learning.frames.labels import PLACE_COLUMNS


def test_streets_are_compared_as_ever_and_places_where_robots_work() -> None:
    assert OccupancySettings(**compared("street")) == OccupancySettings()
    office = OccupancySettings(**compared("office"))
    assert office == OccupancySettings(
        HeightBand(0.1, 1.5, 0.15), Box((0.5, 8.0), (-4.0, 4.0)), 0.1
    )
    asked = OccupancySettings(**compared("office", high=0.4))
    assert (asked.band.low, asked.band.high) == (0.1, 0.4)


def test_what_is_compared_in_places_is_what_was_trained_there() -> None:
    office = OccupancySettings(**compared("office"))
    assert (office.band.low, office.band.high) == (PLACE_COLUMNS.low, PLACE_COLUMNS.high)
    assert (office.box.x, office.box.y) == (PLACE_COLUMNS.ahead, PLACE_COLUMNS.aside)
