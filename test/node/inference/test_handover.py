"""Between two threads: each camera's newest image, and nothing of an epoch after its end."""

from __future__ import annotations

import threading

from kdbts_ros.node.inference.handover import Epochs, Mailbox


def test_the_newest_item_wins() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.put(1) is None
    assert mailbox.put(2) == 1
    assert mailbox.take() == 2
    mailbox.put(3)
    assert mailbox.clear() == [3]
    assert mailbox.clear() == []


def test_senders_take_turns_and_keep_their_own_newest() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("front 1", "front")
    mailbox.put("left 1", "left")
    assert mailbox.put("front 2", "front") == "front 1"
    assert mailbox.take() == "front 2"
    mailbox.put("front 3", "front")
    assert [mailbox.take(), mailbox.take()] == ["left 1", "front 3"]


def test_closing_wakes_the_one_who_waits() -> None:
    mailbox: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(mailbox.take()))
    thread.start()
    mailbox.close()
    thread.join(10)
    assert taken == [None]
    mailbox.put(4)
    assert mailbox.take() is None


def test_a_life_ends_once_what_is_being_sent_has_gone_out() -> None:
    epochs = Epochs()
    ending = threading.Thread(target=epochs.end)
    with epochs.lock:
        ending.start()
        assert epochs.now == 0
    ending.join(10)
    assert epochs.now == 1


def test_nothing_of_a_life_is_sent_after_its_end() -> None:
    epochs, sent = Epochs(), list[int]()
    begun, enough = threading.Event(), threading.Event()

    def send() -> None:
        while not enough.is_set():
            with epochs.lock:
                if epochs.now == 0:
                    sent.append(epochs.now)
                    begun.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert begun.wait(10)
    epochs.end()
    count = len(sent)
    enough.set()
    sender.join(10)
    assert len(sent) == count


def test_an_epoch_ends_though_what_is_being_sent_never_goes_out() -> None:
    """A middleware may never return; the executor has others to serve."""
    epochs = Epochs()
    with epochs.lock:
        assert not epochs.end(patience=0.05)
        assert epochs.now == 1
        with epochs.held(0.05) as held:
            assert not held
    assert epochs.end(patience=0.05)
    with epochs.held(0.05) as held:
        assert held and epochs.lock.locked()
    assert not epochs.lock.locked() and epochs.now == 2
