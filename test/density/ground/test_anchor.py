"""The filter of a camera's anchor, and its bounds."""

from __future__ import annotations

import numpy as np
import pytest

from kdbts_ros.density.ground.anchor import (
    AS_SEEN,
    Anchor,
    AnchorRules,
    GroundAccount,
    GroundAnchors,
    Track,
)
from kdbts_ros.density.ground.plane_fit import GroundFit
from kdbts_ros.errors import UserError

SECOND = 1_000_000_000


def seen(scale: float, pitch_deg: float = 0.0) -> GroundFit:
    return GroundFit(scale, float(np.radians(pitch_deg)), 0.9)


def driven(track: Track, fit: GroundFit | None, first: float, last: float) -> None:
    """Ten frames a second between two times, s."""
    for stamp in np.arange(first, last, 0.1):
        track.add(fit, round(stamp * SECOND))


def test_the_first_clear_ground_counts_at_once_and_further_ones_slowly() -> None:
    track = Track()
    assert track.anchor is AS_SEEN and not track.known
    track.add(seen(1.1), 5 * SECOND)
    assert track.known and track.anchor.scale == pytest.approx(1.1, rel=0.003)
    track.add(seen(1.12), 5 * SECOND + SECOND // 10)
    expected = 1.1 * (1.12 / 1.1) ** (1 - np.exp(-0.1 / 0.3))
    assert track.anchor.scale == pytest.approx(expected, rel=0.003)
    driven(track, seen(1.2), 5.2, 12.0)
    assert track.anchor.scale == pytest.approx(1.2, rel=0.003)


def test_one_wrong_frame_moves_it_little() -> None:
    track = Track()
    driven(track, seen(1.0), 0.0, 5.0)
    track.add(seen(1.25, 2.0), 5 * SECOND)
    assert track.anchor.scale < 1.03 and np.degrees(track.anchor.pitch) < 0.25


def test_what_is_not_clear_keeps_the_last_then_returns_slowly() -> None:
    track = Track()
    track.add(seen(1.2, 1.0), 0)
    held = track.anchor
    driven(track, None, 0.1, 4.9)
    assert track.anchor == held
    driven(track, None, 4.9, 15.0)
    assert 1.05 < track.anchor.scale < 1.1
    driven(track, None, 15.0, 90.0)
    assert track.anchor.scale == 1 and track.anchor.pitch == pytest.approx(0, abs=1e-4)


def test_bounds_hold_and_the_sentence_names_the_height() -> None:
    track = Track()
    track.add(seen(1.34, 5.0), 0)
    assert track.anchor.scale == pytest.approx(1.3)
    assert np.degrees(track.anchor.pitch) == pytest.approx(2.0)
    account = track.account(track.anchor)
    assert "1.34 times as far as TF says: check the mounting height" in account.concern()
    track = Track()
    track.add(seen(0.7), 0)
    assert track.anchor.scale == pytest.approx(1 / 1.3)
    assert "0.70 times" in track.account(track.anchor).concern()
    track = Track()
    track.add(seen(1.29), 0)
    assert track.account(track.anchor).concern() == ""


def test_unknown_ground_is_no_number_and_no_concern() -> None:
    account = Track().account(AS_SEEN)
    assert np.isnan([account.scale, account.pitch, account.seen_scale]).all()
    assert account.concern() == "" and GroundAccount().concern() == ""


def test_each_camera_has_its_own_until_all_are_forgotten() -> None:
    anchors = GroundAnchors()
    anchors.track("left").add(seen(1.1), 0)
    assert anchors.track("left").known and not anchors.track("right").known
    anchors.track(None).add(seen(1.1), 0)
    assert not anchors.track(None).known
    anchors.forget()
    assert not anchors.track("left").known


def test_a_seen_rise_is_turned_down() -> None:
    """A point 10 m ahead on a ground that seems to rise comes to lie lower (y is down)."""
    turned = Anchor(1.0, float(np.radians(2.0))).R_view_seen @ [0.0, 1.65, 10.0]
    assert turned[1] == pytest.approx(1.65 + 10 * np.sin(np.radians(2.0)), abs=0.01)


def test_rules_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="most_scale above 1"):
        AnchorRules(most_scale=1.0)
