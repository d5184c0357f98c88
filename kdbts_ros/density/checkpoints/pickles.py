"""What a file of `torch.save` would do, found out from its opcodes before any of them is obeyed.

`weights_only=True` keeps code from running. It still calls what allocates any amount of memory
(`bytearray`, tensors without a storage), obeys pickles of any length, and unpacks archives: here a
file is held to what `torch.save` writes for tensors and plain containers.
"""

from __future__ import annotations

import pickletools
import re
import tarfile
import zipfile
from typing import IO, BinaryIO

from kdbts_ros.errors import UserError

# A network of this kind with its optimiser takes fifty thousand opcodes, and half a megabyte.
MOST_OPCODES = 400_000
LARGEST_PICKLE = 16_000_000
# Of an archive's list of entries: a thousand tensors take a tenth of a megabyte.
LARGEST_DIRECTORY = 4_000_000
# Pickles at the start of a file as torch wrote it before 1.6: magic number, protocol, machine,
# content, names of the storages.
_LEGACY_PICKLES = 5
_NAMED = {"GLOBAL", "STACK_GLOBAL", "INST"}
# Longer whole numbers are none of ours, and all keys of one dictionary could be made to collide.
_LONGEST_NUMBER = 1 << 64
_HARMLESS = re.compile(
    r"collections (OrderedDict|defaultdict|Counter)"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state)"
    r"|torch(\.cuda)? \w+Storage"
    r"|torch (Size|device|b?float\d+|u?int\d+|complex\d+|bool)"
    r"|torch\.storage (UntypedStorage|TypedStorage)"
    r"|torch\.nn\.parameter Parameter"
    r"|_codecs encode"
    r"|(builtins|__builtin__) (set|complex|int|float|bool|dict|list|tuple|str)"
)


def check_archive(file: BinaryIO) -> bool:
    """Whether a file is a zip; one that `torch.save` could not have written is refused.

    Raises:
        UserError: half a sentence that begins with the verb.
        OSError, zipfile.BadZipFile, NotImplementedError, ValueError: it is a damaged one.
    """
    if not zipfile.is_zipfile(file):
        return False
    _check_directory(file)
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        pickles = [entry for entry in entries if entry.filename.endswith(".pkl")]
        if not any(entry.filename.endswith("data.pkl") for entry in pickles):
            raise UserError("is a zip archive without weights of PyTorch: unpack it and name the "
                            "file")  # fmt: skip
        if any(entry.filename.endswith("constants.pkl") for entry in pickles):
            # torch before 2.6 runs such a program whatever it is asked for.
            raise UserError(
                "is refused: it is a program of TorchScript; save the weights alone where it was "
                "made: torch.save(network.state_dict(), FILE)"
            )
        if any(e.compress_type != zipfile.ZIP_STORED or e.flag_bits & 1 for e in entries):
            raise UserError(
                "is compressed inside, which torch.save never does: get the original file"
            )
        if len({entry.filename for entry in entries}) < len(entries):
            raise UserError("is refused: it holds two entries of one name")
        size = file.seek(0, 2)
        if sum(max(entry.file_size, entry.compress_size) for entry in entries) > size:
            raise UserError("is refused: its entries claim more bytes than it has")
        for entry in pickles:
            if entry.file_size > LARGEST_PICKLE:
                raise UserError("is refused: its description is larger than any network's")
            with archive.open(entry) as opened:
                check_pickle(opened)
    return True


def check_legacy(file: BinaryIO) -> None:
    """As `check_archive`, of the form that torch wrote before archives."""
    if tarfile.is_tarfile(file):
        # The form before that one is unpacked to the disk.
        raise UserError("is refused: it is a tar archive; unpack it and name the file inside")
    file.seek(0)
    for _ in range(_LEGACY_PICKLES):
        check_pickle(file)


def check_pickle(file: IO[bytes]) -> None:
    """Refuse a pickle that names more than tensors and plain containers; stops at its end.

    Raises:
        UserError: half a sentence that begins with the verb.
        ValueError: it is none.
    """
    strings: list[str] = []
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > MOST_OPCODES or file.tell() - start > LARGEST_PICKLE:
            raise UserError("is refused: its description is longer than any network's")
        if isinstance(argument, str):
            strings = [*strings[-1:], argument]
        if opcode.name in _NAMED:
            _check_name(" ".join(strings) if opcode.name == "STACK_GLOBAL" else str(argument))
        elif opcode.name.startswith("EXT"):
            raise UserError("is refused: it is no file of tensors")
        # The magic number of the old form has ten bytes, and stands alone.
        elif isinstance(argument, int) and abs(argument) >= _LONGEST_NUMBER and count > 2:
            raise UserError("is refused: it holds a number that no checkpoint needs")


def _check_name(named: str) -> None:
    if _HARMLESS.fullmatch(named) is None:
        called = ".".join(named.split())[:80]
        raise UserError(
            f"is refused: it wants to call {called}, and only plain weights are loaded; save the "
            "weights alone where it was made: torch.save(network.state_dict(), FILE)"
        )


def _check_directory(file: BinaryIO) -> None:
    """The list of entries is read as a whole by whoever opens an archive."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    claimed = int.from_bytes(tail[end + 12 : end + 16], "little")
    wide = tail.rfind(b"PK\6\6", 0, end)
    if claimed == 0xFFFFFFFF and wide >= 0:
        claimed = int.from_bytes(tail[wide + 40 : wide + 48], "little")
    if claimed > LARGEST_DIRECTORY:
        raise UserError("is refused: it lists more entries than any network has")
