"""Lives of the node: one does not end while something of it is being sent."""

from __future__ import annotations

import threading

from kdbts_ros.node.inference.epochs import Lives


def test_a_life_ends_once_what_is_being_sent_has_gone_out() -> None:
    lives = Lives()
    ending = threading.Thread(target=lives.end)
    with lives.lock:
        ending.start()
        assert lives.now == 0
    ending.join(10)
    assert lives.now == 1


def test_nothing_of_a_life_is_sent_after_its_end() -> None:
    lives, sent = Lives(), list[int]()
    begun, enough = threading.Event(), threading.Event()

    def send() -> None:
        while not enough.is_set():
            with lives.lock:
                if lives.now == 0:
                    sent.append(lives.now)
                    begun.set()

    sender = threading.Thread(target=send)
    sender.start()
    assert begun.wait(10)
    lives.end()
    count = len(sent)
    enough.set()
    sender.join(10)
    assert len(sent) == count
