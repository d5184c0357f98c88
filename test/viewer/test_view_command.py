"""What `kdbts view` refuses before it opens anything, and the program it starts."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kdbts_ros.cli.view import view
from kdbts_ros.errors import UserError
from kdbts_ros.viewer import program, sdk
from test.viewer.made import drive


def free_pair() -> int:
    """A port that is free along with the one after it."""
    for port in range(21000, 21400, 2):
        try:
            program.check_free(port)
            program.check_free(port + 1)
        except UserError:
            continue
        return port
    raise AssertionError("no free ports")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, "name recordings to show, or --live"),
        ({"sources": [Path("bag")], "live": True}, "name recordings to show, or --live"),
        ({"sources": [Path("bag")], "web": True, "out": Path("a.rrd")}, "leave out --web"),
        ({"sources": [Path("bag")], "seconds": 3.0}, "recordings are shown whole"),
        ({"sources": [Path("a.rrd"), Path("bag")]}, "is shown alone"),
        ({"sources": [Path("a.rrd")], "live": True}, "is shown alone"),
        ({"sources": [Path("none.rrd")]}, "none.rrd does not exist"),
    ],
)
def test_what_contradicts_itself_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        view(**asked)


def test_without_the_sdk_the_cure_is_told() -> None:
    with pytest.raises(UserError, match=r"needs the rerun viewer.*pip install 'rerun-sdk"):
        sdk.load("rerun_that_nobody_has")


def test_without_a_screen_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match="--web serves the viewer to a browser"):
        program.check_screen()
    monkeypatch.setenv("DISPLAY", ":0")
    program.check_screen()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind((program.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be used"):
            program.check_free(port)


def test_a_page_is_served_to_this_machine_alone_and_ends_with_the_block(tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="needs the extra `viewer`")
    from kdbts_ros.viewer.showing import Frames, write_recordings

    file = tmp_path / "drive.rrd"
    write_recordings(drive(tmp_path), file, Frames())
    port = free_pair()
    with program.Viewer(web=True, port=port, files=(file,)) as viewer:
        with urllib.request.urlopen(viewer.page, timeout=30) as page:
            assert page.status == 200 and b"<html" in page.read().lower()
        # In hexadecimal: 0100007F is 127.0.0.1, 0A listens.
        table = Path("/proc/net/tcp").read_text().splitlines()[1:]
        rows = [line.split() for line in table]
        ours = [r[1] for r in rows if r[3] == "0A" and int(r[1][-4:], 16) in (port, port + 1)]
        assert {place[:8] for place in ours} == {"0100007F"} and len(ours) == 2
        assert not viewer.ended
    assert viewer.ended
    program.check_free(port)
