"""Places beyond the street: reproducible, passable, and as exact as streets."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from kdbts_ros.datasets.synthetic.drive import StreetDrive, place_drive
from kdbts_ros.datasets.synthetic.floors import FIRST_FLOOR, TILED
from kdbts_ros.datasets.synthetic.ground import PARAMETERS, ROAD
from kdbts_ros.datasets.synthetic.hill import Hill
from kdbts_ros.datasets.synthetic.indoor_surfaces import FIRST_INDOOR, GLASS, LAMP
from kdbts_ros.datasets.synthetic.interior import FLOOR_GLOSS
from kdbts_ros.datasets.synthetic.places import decor, machines, seats, storage
from kdbts_ros.datasets.synthetic.places.cameras import HEIGHTS, STEEP, random_camera
from kdbts_ros.datasets.synthetic.places.frames import FREE, place_frame
from kdbts_ros.datasets.synthetic.places.kinds import INSIDE, OUTSIDE, PLACES, place_of
from kdbts_ros.datasets.synthetic.places.place import BEHIND, LANE_HALF, Place
from kdbts_ros.datasets.synthetic.places.stand import Stand
from kdbts_ros.datasets.synthetic.primitives import (
    CONTRAST,
    CX,
    CY,
    CZ,
    FRONT,
    HX,
    HZ,
    MATERIAL,
    PERIOD,
    REAR,
    SIDE,
    PrimitiveTable,
    corners,
)
from kdbts_ros.datasets.synthetic.raycast import exact_depth, render
from kdbts_ros.datasets.synthetic.rig import mount
from kdbts_ros.datasets.synthetic.truth import column_truth, occupied, visible
from kdbts_ros.datasets.synthetic.world import CELL_STEP, COLUMN_STEP, StreetWorld
from kdbts_ros.density.geometry.camera import Camera, inverse, transform
from kdbts_ros.errors import UserError
from kdbts_ros.evaluation.samples import CALIBRATION_SEED, HELD_OUT_SEED

CAMERA = Camera(160, 120, 90.0, 90.0, 80.0, 60.0)
SEEDS = range(700, 706)
THINGS = [
    *(seats.add_chair, seats.add_office_chair, seats.add_stool, seats.add_sofa, seats.add_desk),
    *(seats.add_dining, seats.add_bed, seats.add_bench, storage.add_pallet, storage.add_carton),
    *(storage.add_crates, storage.add_barrel, machines.add_forklift, machines.add_pallet_jack),
    *(machines.add_hand_truck, machines.add_trolley, machines.add_cart, machines.add_robot),
    *(machines.add_bicycle, machines.add_trailer, machines.add_container, decor.add_plant),
    *(decor.add_bin, decor.add_radiator, decor.add_television, decor.add_coat_stand),
    *(decor.add_clutter, decor.add_wet_sign, decor.add_extinguisher, decor.add_people),
]


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def test_every_kind_has_its_number() -> None:
    assert len(set(PLACES)) == len(PLACES) and set(PLACES) == {*INSIDE, *OUTSIDE}


@pytest.mark.parametrize("place", PLACES)
def test_equal_seeds_make_equal_places_and_seeds_and_kinds_differ(place: str) -> None:
    worlds = [StreetWorld.of_place(place, seed, 2.0).digest() for seed in (3, 3, 4)]
    assert worlds[0] == worlds[1] != worlds[2]
    others = {StreetWorld.of_place(p, 3, 2.0).digest() for p in PLACES}
    assert len(others) == len(PLACES)


@pytest.mark.parametrize("place", PLACES)
def test_the_lane_is_free_and_walls_are_beyond_it(place: str) -> None:
    for seed in SEEDS:
        free = float(np.random.default_rng(seed).uniform(*FREE))
        world = StreetWorld.of_place(place, seed, free)
        along, across = np.arange(-1.0, free, 0.1), np.linspace(-LANE_HALF, LANE_HALF, 7) * 0.8
        X, Y, Z = np.meshgrid(along, across, [0.1, 0.3, 0.8, 1.4, 1.95])
        points = np.stack([X, Y, Z], -1).reshape(-1, 3)
        assert not occupied(world, points).any(), seed
        assert world.length_m >= free


@pytest.mark.parametrize("place", INSIDE)
def test_inside_there_are_lamps_and_a_ceiling(place: str) -> None:
    for seed in SEEDS:
        world = StreetWorld.of_place(place, seed, 2.0)
        assert len(world.lamps) and len(world.room)
        above = np.stack([np.zeros(200), np.zeros(200), np.linspace(2.0, 10.5, 200)], -1)
        assert occupied(world, above).any()


@pytest.mark.parametrize("place", OUTSIDE)
def test_under_open_sky_there_are_none(place: str) -> None:
    world = StreetWorld.of_place(place, 5, 2.0)
    assert not len(world.lamps) and not len(world.room)


@pytest.mark.parametrize("add", THINGS, ids=lambda add: add.__name__)
def test_things_stand_on_the_floor_inside_their_hulls(add) -> None:
    """A solid that leans out of its bounding box is missed by rays; one below the floor, unseen."""
    for seed in range(6):
        table = PrimitiveTable()
        add(Stand(table, 3.0, -2.0, 0.0, 0.7), np.random.default_rng(seed))
        rows = table.array()
        assert len(rows) and np.isfinite(rows).all()
        assert (rows[:, HX : HZ + 1] > 0).all()
        assert (rows[:, [FRONT, REAR, SIDE]] >= 0).all(), "leans out at its top"
        assert (rows[:, CZ] - rows[:, HZ]).min() > -0.02
        away = np.hypot(rows[:, CX] - 3.0, rows[:, CY] + 2.0)
        assert away.max() < 15.0


def test_a_table_is_free_beneath_and_occupied_at_its_top() -> None:
    table = PrimitiveTable()
    seats.add_table(Stand(table, 2.0, 0.0), np.random.default_rng(1), (0.4, 0.8), 0.74)
    world = bare(table)
    x, y = np.array([2.0]), np.array([0.0])
    assert column_truth(world, x, y, 0.1, 1.0).all()
    legs_apart = np.array([[2.0, 0.35, 0.3], [2.0, -0.35, 0.5]])
    assert not occupied(world, legs_apart).any()


@pytest.mark.parametrize("at", [2.0, 2.04, 2.1, 2.15])
def test_a_thin_wall_is_on_the_map_wherever_it_stands(at: float) -> None:
    """Between the centres of cells, too."""
    thin = boxes(((at, 0.0, 1.2), (0.05, 3.0, 1.2), 0, (0.5, 0.5, 0.5), 0.0, 1.0))
    world = bare(thin)
    x, y = np.arange(0.1, 4.0, 0.2), np.arange(-2.9, 3.0, 0.2)
    found = column_truth(world, x, y, 0.3, 2.0)
    assert found.any(1).all() and (found == found[:1]).all()
    marked = x[found[0]]
    assert (np.abs(marked - at) < 0.15 + 1e-9).all()


def bare(table: PrimitiveTable, gloss: float = 0.0, lamps: int = 1) -> StreetWorld:
    """A floor with the solids and a lamp over x = 2 m."""
    place = Place(np.random.default_rng(0), 1.0, table=table)
    place.floor(TILED, 0.3)
    row = (2.0, 0.0, 2.5, 6.0, 6.0, 6.0, 0.0, 0.0, -1.0, 0.2)
    light = StreetWorld.of_place("office", 0, 2.0).light.copy()
    room = np.array([0.2, 0.2, 0.2, gloss, 0.05])
    return StreetWorld(
        0, table.array(), place.ground, np.zeros((0, 6)), light, 20.0, 0.0,
        lamps=np.array([row] * lamps), room=room, cell_m=0.5,
        column_step_m=COLUMN_STEP, cell_step_m=CELL_STEP,
    )  # fmt: skip


def boxes(*rows: tuple) -> PrimitiveTable:
    """Boxes of (centre, half extents, material, colour, contrast, period)."""
    table, here = PrimitiveTable(), None
    here = Stand(table, 0.0, 0.0)
    for centre, half, material, colour, contrast, period in rows:
        here.box(centre, half, colour, material, contrast=contrast, period=period)
    return table


WALL = ((5.0, 0.0, 1.5), (0.1, 4.0, 1.5), 0, (0.8, 0.1, 0.1), 0.0, 0.3)
PANE = ((3.0, 0.0, 1.5), (0.006, 4.0, 1.5), GLASS, (0.95, 0.95, 0.95), 0.02, 0.0)


def test_depth_ends_at_a_pane_that_shows_what_is_behind_it() -> None:
    T = mount((0.0, 0.0, 1.0))
    clear, glazed = (render(bare(boxes(*rows)), CAMERA, T) for rows in ((WALL,), (WALL, PANE)))
    assert clear.depth[60, 80] == pytest.approx(4.9, abs=1e-3)
    assert glazed.depth[60, 80] == pytest.approx(2.994, abs=1e-3)
    red, through = (v.image[60, 80].astype(int) for v in (clear, glazed))
    assert through[0] > through[1] + 20, "the red wall shows"
    assert np.abs(red - through).max() < 60
    assert occupied(bare(boxes(PANE)), [[3.0, 0.0, 1.0]]).all()


def test_a_floor_that_shines_mirrors_what_stands_on_it() -> None:
    T = mount((0.0, 0.0, 1.0), pitch=0.2)
    dull, shiny = (render(bare(boxes(WALL), gloss), CAMERA, T) for gloss in (0.0, 1.0))
    np.testing.assert_array_equal(dull.depth, shiny.depth)
    below = (slice(70, 90), slice(60, 100))
    redness = [
        v.image[below][..., 0].astype(int) - v.image[below][..., 1].astype(int)
        for v in (dull, shiny)
    ]
    assert redness[1].mean() > redness[0].mean() + 5


def test_a_lamp_casts_shadows_and_glass_does_not() -> None:
    T = mount((0.0, 0.0, 1.5), pitch=0.6)
    board = ((2.0, 0.0, 1.2), (0.3, 0.3, 0.02), 0, (0.5, 0.5, 0.5), 0.0, 0.3)
    glass = (board[0], board[1], GLASS, (0.95, 0.95, 0.95), 0.0, 0.0)
    spot, _ = CAMERA.project(transform(inverse(T), [[1.9, 0.42, 0.0]]))
    column, row = spot[0].astype(int)
    lit, shaded, through = (
        render(bare(boxes(*rows)), CAMERA, T).image[row, column].mean()
        for rows in ((), (board,), (glass,))
    )
    # Of what the lamp gives an eighth comes round; the picture's tone curve lifts it.
    assert shaded < 0.9 * lit
    assert through == pytest.approx(lit, rel=0.1)


@pytest.mark.parametrize("place", ["office", "warehouse", "courtyard"])
def test_pictures_depth_occupancy_and_visibility_agree(place: str) -> None:
    drive = place_drive(place, 703, width=160)
    camera, T_base_cam = drive.rig["left"]
    T = drive.T_world_base(0) @ T_base_cam
    drawn = drive.rendered(0, "left")
    np.testing.assert_array_equal(drawn.depth, exact_depth(drive.world, camera, T))
    near = drawn.depth < 30
    assert near.mean() > 0.4
    rays = camera.rays()[near].astype(np.float64)
    points = transform(T, rays * drawn.depth[near][:, None].astype(np.float64))
    away = points - T[:3, 3]
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    assert occupied(drive.world, points - 0.01 * away).mean() < 0.01
    # A sheet of paper or glass is thinner than this.
    assert occupied(drive.world, points + 0.003 * away).mean() > 0.9
    assert visible(drive.world, camera, T, points - 0.01 * away).mean() > 0.99
    assert not visible(drive.world, camera, T, points + 0.3 * away).any()


def test_equal_arguments_draw_equal_bytes_whatever_the_threads() -> None:
    first, again = (place_drive("office", 701, width=160).rendered(0, "left", n) for n in (1, 3))
    assert digest(first.image, first.depth) == digest(again.image, again.depth)


def test_cameras_are_those_of_robots() -> None:
    rng = np.random.default_rng(0)
    heights, pitches, fields = [], [], []
    for _ in range(400):
        camera, T = random_camera(rng, 640)
        heights.append(T[2, 3])
        pitches.append(np.degrees(np.arcsin(-T[2, 2])))
        fields.append(2 * np.degrees(np.arctan(0.5 * camera.width / camera.fx)))
        upright = np.degrees(np.arctan(0.5 * camera.height / camera.fy))
        assert abs(pitches[-1]) < max(upright, 4.0), "the horizon is in the image"
    assert HEIGHTS[0] <= min(heights) < 0.3 and 1.7 < max(heights) <= HEIGHTS[1]
    assert -10.1 <= min(pitches) < -7 and 20 < max(pitches) <= 25.1
    assert 50 <= min(fields) < 53 and 107 < max(fields) <= 110


def test_steep_cameras_look_steeply_down() -> None:
    rng = np.random.default_rng(0)
    pitches = [
        np.degrees(np.arcsin(-random_camera(rng, 640, steep=True)[1][2, 2])) for _ in range(200)
    ]
    assert STEEP[0] - 0.1 <= min(pitches) < 22 and 36 < max(pitches) <= STEEP[1] + 0.1


def test_a_share_of_the_frames_is_seen_by_steep_cameras() -> None:
    size = {"width": 160, "height": 64}
    usual = place_frame("office", 9, 0, **size)
    none, all_steep = (place_frame("office", 9, 0, **size, steep_share=share) for share in (0, 1))
    assert digest(usual.view.image) == digest(none.view.image)
    assert digest(usual.view.image) != digest(all_steep.view.image)
    assert not all_steep.seen[0].any(), "above what the camera sees"


@pytest.mark.parametrize("place", ["living", "yard"])
def test_a_training_frame_is_what_the_network_is_shown(place: str) -> None:
    frame = place_frame(place, 9, 2, 160, 64)
    again = place_frame(place, 9, 2, 160, 64)
    assert digest(frame.view.image, frame.depth) == digest(again.view.image, again.depth)
    assert frame.depth.shape == frame.seen.shape == (64, 160)
    assert frame.view.T_world_cam[2, 2] == pytest.approx(0.0, abs=1e-9), "level"
    assert frame.seen.mean() > 0.2 and len(frame.others) == 2
    behind = [
        np.linalg.norm(v.T_world_cam[:2, 3] - frame.view.T_world_cam[:2, 3]) for v in frame.others
    ]
    assert 0 < behind[0] < behind[1] < BEHIND


def test_shares_draw_places_and_streets_are_the_rest() -> None:
    shares = {"office": 0.3, "yard": 0.2}
    drawn = [place_of(seed, shares) for seed in range(600)]
    for name, share in (*shares.items(), ("street", 0.5)):
        assert drawn.count(name) / 600 == pytest.approx(share, abs=0.06)
    assert {place_of(seed, {}) for seed in range(50)} == {"street"}


def test_held_out_worlds_are_none_that_training_draws() -> None:
    """Seeds of training are counted from 0; those held out begin far above all it can reach."""
    held = {StreetWorld.of_place("office", HELD_OUT_SEED + k, 2.0).digest() for k in range(3)}
    fitted = {StreetWorld.of_place("office", CALIBRATION_SEED + k, 2.0).digest() for k in range(3)}
    trained = {StreetWorld.of_place("office", k, 2.0).digest() for k in range(3)}
    assert len(held | fitted | trained) == 9


def test_bad_input_is_refused_in_a_sentence() -> None:
    with pytest.raises(UserError, match="no place 'ofice'; there are corridor, office"):
        StreetWorld.of_place("ofice", 0)
    with pytest.raises(UserError, match="seed"):
        StreetWorld.of_place("office", -1)
    with pytest.raises(UserError, match="free for 0 m to 200 m"):
        StreetWorld.of_place("office", 0, 900.0)
    with pytest.raises(UserError, match="nothing moves in 'office'"):
        StreetDrive(0, place="office", moving=True)
    with pytest.raises(UserError, match="'office' is level"):
        StreetDrive(0, place="office", hill=Hill(5.0, 20.0, 0.05))


def test_materials_of_places_are_no_materials_of_streets() -> None:
    world = StreetWorld.of_place("office", 2, 2.0)
    assert world.ground.shape == (PARAMETERS,) and world.ground[ROAD] >= FIRST_FLOOR
    inside = world.table[:, MATERIAL] >= FIRST_INDOOR
    assert inside.mean() > 0.2
    lamps = world.table[world.table[:, MATERIAL] == LAMP]
    assert (lamps[:, PERIOD] > 1).all()
    panes = world.table[world.table[:, MATERIAL] == GLASS]
    assert ((panes[:, CONTRAST] >= 0) & (panes[:, CONTRAST] < 1)).all()
    assert 0 <= world.room[FLOOR_GLOSS] <= 1
    assert np.isfinite(corners(world.table[0])).all()
