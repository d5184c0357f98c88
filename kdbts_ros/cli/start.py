"""`kdbts` from its first moment: signals are quiet while torch is still being imported."""

from __future__ import annotations

from kdbts_ros import ending


def main() -> None:
    """Run the command; see `kdbts_ros.cli.main.run`."""
    ending.begin()
    from kdbts_ros.cli.main import run

    run()


if __name__ == "__main__":
    main()
