"""What happened is told once, and as one thing where it happens again and again."""

from __future__ import annotations

from kdbts_ros.node.reporting.counters import JUMPS_REPEATED, JUMPS_WITHIN, Debts, Jumps


def test_jumps_are_said_one_by_one_until_they_are_many() -> None:
    jumps = Jumps()
    said = [jumps.add("/clock", at) for at in (0.0, 1.0, 2.0, 3.0)]
    assert said == [True] * (JUMPS_REPEATED - 1) + [False, False]
    assert jumps.repeated(3.0) == ("/clock",)
    assert jumps.add("/image", 3.0), "another topic's jumps are its own"
    later = 3.0 + JUMPS_WITHIN
    assert jumps.repeated(later) == ()
    assert jumps.add("/clock", later + 1.0)


def asked(debts: Debts, now: float, *, instead: bool = False, for_a_map: bool = True) -> None:
    debts.asked(now, for_a_map=for_a_map, instead=instead)


def test_only_an_answer_ends_a_debt() -> None:
    debts = Debts()
    assert debts.answer_overdue(9.0) == debts.map_overdue(9.0) == 0.0
    asked(debts, 10.0)
    for now in (11.0, 12.0):
        asked(debts, now, instead=now > 11.0)
    assert debts.answer_overdue(13.0) == debts.map_overdue(13.0) == 3.0
    debts.answered(14.0, with_a_map=True)
    assert debts.jobs == 1
    assert debts.answer_overdue(14.5) == 0.5, "of the job that was begun then"
    assert debts.map_overdue(14.5) == 0.0
    debts.answered(15.0, with_a_map=False)
    assert debts.answer_overdue(99.0) == debts.map_overdue(99.0) == 0.0


def test_views_are_no_maps() -> None:
    debts = Debts()
    asked(debts, 10.0, for_a_map=False)
    assert (debts.answer_overdue(12.0), debts.map_overdue(12.0)) == (2.0, 0.0)
    asked(debts, 12.0)
    debts.answered(13.0, with_a_map=False)
    assert (debts.answer_overdue(14.0), debts.map_overdue(14.0)) == (1.0, 2.0)


def test_an_inference_that_hangs_owes_its_answer_across_epochs() -> None:
    debts = Debts()
    for now in (10.0, 11.0):
        asked(debts, now)
    debts.taken_back(1)
    assert (debts.jobs, debts.answer_overdue(20.0), debts.map_overdue(20.0)) == (1, 10.0, 0.0)
    debts.answered(21.0, with_a_map=False)
    assert debts.answer_overdue(22.0) == 0.0
