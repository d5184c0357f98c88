"""Small files that would take gigabytes, and what reads them, each in a process of its own.

`python -m test.fuzz.bombs FOLDER [KIND...]` makes each bomb, reads it, and prints by how many MB
the process that read it grew, how long it computed, and the sentence the bomb was refused with.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch  # its libraries are no part of what a bomb costs

from kdbts_ros.errors import UserError
from test.fuzz import file_bombs as files
from test.fuzz import recording_bombs as recordings
from test.fuzz import weight_bombs as weights
from test.fuzz.file_bombs import Bomb

assert torch.__version__
# Seconds of computing after which a reader is ended.
LONGEST = 60

BOMBS: dict[str, Bomb] = {
    "image of 900 megapixels": files.image_file,
    "image message of 900 megapixels": files.image_message,
    "JPEG of twenty thousand scans": files.jpeg_scans,
    "KITTI images of 900 megapixels": files.kitti,
    "sparse image": files.sparse("bomb.png", files.image),
    "sparse scan": files.sparse("bomb.bin", files.scan),
    "sparse table": files.sparse("bomb.txt", files.table),
    "sparse settings": files.sparse("bomb.yaml", files.config),
    "sparse weights": files.sparse("bomb.safetensors", weights.load),
    "sparse pickle": files.sparse("bomb.pt", weights.load),
    "deflated weights": weights.packed_weights,
    "pickle that allocates": weights.allocating_pickle,
    "pickle without end": weights.endless_pickle,
    "network of wide layers": weights.network(decoder_channels=(4096,) * 5, feature_channels=4096),
    "network of a wide head": weights.network(head_widths=(4096,) * 3, head="mvbts"),
    "network of a large input": weights.network(image_width=8192, image_height=8192),
    "brackets": files.yaml_text("[" * 20_000),
    "braces": files.yaml_text("{a: " * 20_000),
    "aliases": files.yaml_text(files.laughs()),
    "merged aliases": files.yaml_text(files.merges()),
    "many values": files.yaml_text("\n".join(f"k{k}: v" for k in range(30_000))),
    "metadata of brackets": recordings.metadata,
    "QoS of brackets": recordings.qos,
    "mcap chunk that lies, zstd": recordings.mcap_chunk("zstd", 1000),
    "mcap chunk that lies, lz4": recordings.mcap_chunk("lz4", 1000),
    "mcap chunk that says so, zstd": recordings.mcap_chunk("zstd", 2 * files.GIGABYTE),
    "calibration of 90 megapixels": recordings.calibration,
    "compressed recording": recordings.packed_recording,
    "earlier result": files.earlier_result,
}


def _peak() -> float:
    """Of this process so far, MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _tried(read: Callable[[], object]) -> dict[str, Any]:
    """What reading cost, and the sentence it was refused with."""
    before, start = _peak(), time.process_time()
    said = ""
    try:
        read()
    except UserError as error:
        said = str(error)
    return {"mb": _peak() - before, "seconds": time.process_time() - start, "said": said}


def _apart(work: Callable[[], object]) -> None:
    """Run in a forked process, which has the memory of now and no peak of the past."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            sys.stdout.flush()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.waitpid(child, 0)


def main(folder: Path, kinds: list[str]) -> None:
    for kind in kinds or BOMBS:
        place = folder / kind.replace(" ", "_").replace(",", "")
        place.mkdir()

        def told(kind: str = kind, place: Path = place) -> None:
            read = BOMBS[kind](place)

            def one() -> None:
                # Whoever goes through all that is claimed is ended, and found missing.
                resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST))
                print(json.dumps({"kind": kind, **_tried(read)}))

            _apart(one)

        _apart(told)
        shutil.rmtree(place)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
