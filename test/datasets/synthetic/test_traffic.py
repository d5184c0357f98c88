"""Moving cars: where they are is exact, repeats, and touches nothing else."""

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive
from kdbts_ros.datasets.synthetic.ground import street_to_world
from kdbts_ros.datasets.synthetic.primitives import COLUMNS, CX, CY
from kdbts_ros.datasets.synthetic.rig import front_stereo, training_camera
from kdbts_ros.datasets.synthetic.truth import column_truth, occupied

FRAMES = 30
# A stream of oncoming cars; two cars ahead; both.
SEEDS = (2, 5, 8)


def moving_drive(seed: int) -> StreetDrive:
    rig = front_stereo(training_camera(160, 48))
    return StreetDrive(seed, frames=FRAMES, rig=rig, moving=True)


@pytest.fixture(scope="module", params=SEEDS)
def drive(request):
    return moving_drive(request.param)


def places(drive, i):
    """(M,2) world positions of the cars at frame i, in the order of `movers`."""
    seconds = i / drive.rate_hz
    ground = drive.world.ground
    return np.array(
        [street_to_world(ground, m.x + m.speed * seconds, m.d)[:2] for m in drive.movers]
    )


def test_every_drive_has_moving_cars_that_move_as_they_say(drive):
    assert drive.movers
    travelled = places(drive, FRAMES - 1) - places(drive, 0)
    seconds = (FRAMES - 1) / drive.rate_hz
    speeds = [abs(m.speed) for m in drive.movers]
    # Along the curve a little more than along x.
    assert np.linalg.norm(travelled, axis=1) == pytest.approx(np.array(speeds) * seconds, rel=0.1)


def test_truth_has_each_car_where_it_is_and_nowhere_else(drive):
    for i in (0, 10, FRAMES - 1):
        world = drive.world_at(i)
        bodies = np.column_stack([places(drive, i), np.full(len(drive.movers), 0.5)])
        assert occupied(world, bodies).all()
        assert not occupied(drive.world, bodies).any()
    x, y = places(drive, 10)[0]
    grid = x + np.arange(-4, 4, 0.2), y + np.arange(-4, 4, 0.2)
    now = column_truth(drive.world_at(10), *grid, 0.3, 2.0)
    assert 100 < (now & ~column_truth(drive.world, *grid, 0.3, 2.0)).sum() < 500


def test_cars_hit_neither_the_robot_nor_each_other_nor_the_street(drive):
    for i in range(0, FRAMES, 3):
        cars = places(drive, i)
        robot = drive.T_world_base(i)[:2, 3]
        assert (np.linalg.norm(cars - robot, axis=1) > 2.3).all()
        between = np.linalg.norm(cars[:, None] - cars[None], axis=-1) + 99 * np.eye(len(cars))
        assert (between > 2.4).all()
        solids = np.concatenate([m.at(drive.world.ground, i / drive.rate_hz) for m in drive.movers])
        centres = np.column_stack([solids[:, [CX, CY]], np.full(len(solids), 1.0)])
        assert not occupied(drive.world, centres).any()


def test_pictures_show_the_cars_of_their_time_and_repeat():
    first, again = moving_drive(SEEDS[0]), moving_drive(SEEDS[0])
    again.depth(20)  # frames may be asked for in any order
    for i in (0, 12):
        shown = first.rendered(i, "left")
        assert (shown.image == again.rendered(i, "left").image).all()
        assert (shown.depth == again.depth(i)).all()


def test_standing_traffic_is_as_before():
    standing, moving = StreetDrive(SEEDS[0], frames=FRAMES), moving_drive(SEEDS[0])
    assert standing.world_at(7) is standing.world and standing.movers == ()
    first, after = standing.world.traffic_rows
    assert 0 < first <= after < len(standing.world.table)
    kept = np.delete(standing.world.table, np.s_[first:after], axis=0)
    assert kept.tobytes() == moving.world.table.tobytes()
    moved = sum(len(m.rows) for m in moving.movers)
    assert moving.world_at(3).table.shape == (len(kept) + moved, COLUMNS)
