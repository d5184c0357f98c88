"""The viewer's own program: a window, or a page for a browser of this machine.

It listens on this machine alone, and ends with the process that started it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from kdbts_ros import tether
from kdbts_ros.errors import UserError
from kdbts_ros.viewer import sdk

HOST = "127.0.0.1"
# Loading 300 MB of program from a slow disk.
STARTING_SECONDS = 60.0
_MEMORY = "50%"


class Viewer:
    """A viewer that waits for data, or shows files; as a context it ends with the block.

    Attributes:
        address: what `connect_grpc` takes.
        page: where a browser finds it; empty for a window.
    """

    def __init__(self, web: bool, port: int, files: tuple[Path, ...] = ()) -> None:
        """Start it. port: of the page; of the data the one after it.

        Raises:
            UserError: the SDK is missing, there is no screen, a port is taken, or it does not
                start.
        """
        sdk.load()
        if not web:
            check_screen()
        page_port, data_port = port, port + 1
        for wanted in (page_port, data_port) if web else (data_port,):
            check_free(wanted)
        self.address = f"rerun+http://{HOST}:{data_port}/proxy"
        source = f"rerun%2Bhttp%3A%2F%2F{HOST}%3A{data_port}%2Fproxy"
        self.page = f"http://{HOST}:{page_port}?url={source}" if web else ""
        arguments = [*map(str, files), "--bind", HOST, "--port", str(data_port)]
        arguments += ["--server-memory-limit", _MEMORY]
        if web:
            arguments += ["--serve-web", "--web-viewer-port", str(page_port)]
        self._process = subprocess.Popen(
            tether.command("kdbts_ros.viewer.program", arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A program that is part of another one asks nobody about usage data.
            env=os.environ | {"RERUN_APP_ONLY": "true"},
            start_new_session=True,
        )
        try:
            self._wait_until_open(page_port if web else data_port)
        except BaseException:
            self.stop()
            raise

    @property
    def ended(self) -> bool:
        """Whether the window was closed."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """End it, and wait until it has."""
        tether.end(self._process, (signal.SIGTERM, 5.0))

    def __enter__(self) -> Viewer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait_until_open(self, port: int) -> None:
        deadline = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < deadline:
            if self.ended:
                raise UserError(
                    f"the viewer ended with code {self._process.returncode} before it was open; "
                    "`rerun` alone says why"
                )
            with socket.socket() as probe:
                probe.settimeout(1.0)
                if probe.connect_ex((HOST, port)) == 0:
                    return
            time.sleep(0.1)
        raise UserError(f"the viewer was not open after {STARTING_SECONDS:g} s")


def check_screen() -> None:
    """Refuse a window where there is no screen.

    Raises:
        UserError: with what helps.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        raise UserError(
            "there is no screen here: --web serves the viewer to a browser, --out FILE.rrd writes "
            "a file to open elsewhere"
        )


def check_free(port: int) -> None:
    """Refuse a port that is taken.

    Raises:
        UserError: with what helps.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}): is a viewer open already? Close "
                "it, or name another one with --port"
            ) from error


def main() -> None:
    """Become the program of the SDK, with the arguments that are given."""
    folder = Path(str(sdk.load("rerun_cli").__file__)).parent
    os.execv(folder / "rerun", ["rerun", *sys.argv[1:]])


if __name__ == "__main__":
    main()
