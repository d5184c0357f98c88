"""What of the statuses goes to the log, and how often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kdbts_ros.node.reporting.retelling import FORGOTTEN_AFTER, REMEMBERED, Retelling
from kdbts_ros.node.reporting.status import ERROR, OK, WARN, Status

DAY = 86_400


def input_(level: int, message: str, lasting: bool = False) -> Status:
    return Status("input", level, message, lasting=lasting)


def test_a_new_sentence_is_said_at_once_whatever_its_level() -> None:
    log = Retelling()
    assert log.is_news(input_(ERROR, "nobody publishes /image"), 0.0)
    assert log.is_news(input_(ERROR, "the camera is silent"), 1.0), "of the same level"
    assert log.is_news(input_(WARN, "bad_image: no such encoding"), 2.0)
    assert log.is_news(input_(ERROR, "bad_image: no such encoding"), 3.0), "it became serious"
    assert log.is_news(Status("pose", WARN, "bad_image: no such encoding"), 3.0), "another status"


def test_other_numbers_are_no_news() -> None:
    log = Retelling()
    assert log.is_news(input_(WARN, "no map for 5.1 s, stamps -3e9 ns apart"), 0.0)
    assert not log.is_news(input_(WARN, "no map for 6.2 s, stamps 1.5e-7 ns apart"), 1.0)


def test_an_idle_node_grows_silent() -> None:
    log = Retelling()
    silent = Status("input", ERROR, "nobody publishes /image")
    said = [second for second in range(DAY) if log.is_news(silent, float(second))]
    assert said[:5] == [0, 10, 30, 70, 150]
    assert len(said) < 35, "a handful in the first hour, then one an hour"


def test_sentences_that_take_turns_do_not_fill_the_log() -> None:
    log, said = Retelling(), 0
    for second in range(600):
        sentence = "duplicate" if second % 2 else "out of order"
        said += log.is_news(input_(WARN, sentence), float(second))
    assert said <= 2 * 8


def test_the_end_of_a_trouble_is_said_once() -> None:
    log = Retelling()
    assert not log.is_news(input_(OK, "images arrive"), 0.0), "nothing was wrong before"
    log.is_news(input_(ERROR, "the camera is silent"), 1.0)
    assert log.is_news(input_(OK, "images arrive"), 2.0)
    assert not log.is_news(input_(OK, "images arrive"), 3.0)


def test_a_trouble_that_comes_and_goes_is_no_news_until_it_was_gone_for_a_while() -> None:
    log = Retelling()
    assert log.is_news(input_(ERROR, "the camera is silent"), 0.0)
    assert log.is_news(input_(OK, "images arrive"), 1.0)
    assert not log.is_news(input_(ERROR, "the camera is silent"), 2.0)
    assert not log.is_news(input_(OK, "images arrive"), 3.0), "the log knows of no trouble"
    assert log.is_news(input_(ERROR, "the camera is silent"), 3.0 + FORGOTTEN_AFTER)


def test_what_nothing_will_change_is_said_once() -> None:
    log = Retelling()
    told = [log.is_news(input_(WARN, "the camera sees 40%", True), float(t)) for t in range(DAY)]
    assert told[0] and sum(told) == 1


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=60, max_size=200))
def test_memory_is_bounded(words: list[str]) -> None:
    log = Retelling()
    for index, word in enumerate(words * 2):
        log.is_news(input_(WARN, word), float(index))
    assert len(log._accounts["input"].told) <= REMEMBERED
