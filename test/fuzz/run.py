"""`python -m test.fuzz.run [COUNT [TARGET...]]`: feed each reader with COUNT damaged files.

A case fails that ends in anything but its result or a UserError, that takes a number which is none,
or computes for more than `LONGEST` seconds; a target fails that grows by more than `MOST_MB`.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kdbts_ros.errors import UserError
from test.fuzz.mutation import mutated
from test.fuzz.targets import Target, all_targets

LONGEST = 2.0
MOST_MB = 500
# Seconds of computing after which a case is ended, and of waiting: a machine that does other things
# lets a case wait that would be done.
HANGING, WAITING = 30, 300


class Hanging(BaseException):
    """A case that does not end."""


@dataclass
class Account:
    """What became of the cases of a target; failures by their numbers."""

    target: str
    refused: int = 0
    taken: int = 0
    slowest: float = 0.0
    grown_mb: float = 0.0
    failures: dict[int, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def told(self) -> str:
        """One line, and one for each kind of failure."""
        cases = self.refused + self.taken + len(self.failures)
        lines = [
            f"{self.target}: {cases} cases, {self.refused} refused, {self.taken} taken, "
            f"{len(self.failures)} failed; {self.slowest:.2f} s, {self.grown_mb:.0f} MB"
        ]
        kinds = Counter(self.failures.values())
        for words, count in kinds.most_common(30):
            first = next(seed for seed, said in self.failures.items() if said == words)
            lines.append(f"    {count} x, seed {first}: {words}: {self.words.get(words, '')!r}")
        return "\n".join(lines)


def run(target: Target, seeds: Iterable[int], folder: Path) -> Account:
    """Cases by their numbers: the number says which file of the target is damaged, and how."""
    account = Account(target.name)
    place = folder / target.name.replace(" ", "_")
    place.mkdir()
    paths = target.make(place)
    contents = {path: path.read_bytes() for path in paths}
    for path in paths:
        target.read(place, path)
    before = _peak_mb()
    for seed in seeds:
        path = paths[seed % len(paths)]
        path.write_bytes(mutated(contents[path], seed))
        start = time.process_time()
        _one(target, place, path, seed, account)
        spent = time.process_time() - start
        account.slowest = max(account.slowest, spent)
        if spent > LONGEST and seed not in account.failures:
            account.failures[seed] = f"took {spent:.1f} s"
        path.write_bytes(contents[path])
    account.grown_mb = _peak_mb() - before
    shutil.rmtree(place)
    return account


def _one(target: Target, place: Path, path: Path, seed: int, account: Account) -> None:
    signal.setitimer(signal.ITIMER_PROF, HANGING)
    signal.setitimer(signal.ITIMER_REAL, WAITING)
    try:
        with warnings.catch_warnings():
            # A number that is none may be met on the way to its refusal, without a word of numpy.
            warnings.simplefilter("error", RuntimeWarning)
            target.read(place, path)
        account.taken += 1
    except UserError as error:
        account.refused += 1
        if "\n" in str(error) or not str(error):
            account.failures[seed] = f"a sentence of several lines: {str(error)[:200]!r}"
    except (Exception, Hanging) as error:
        where = traceback.extract_tb(error.__traceback__)
        own = [f for f in where if "kdbts_ros" in f.filename] or where
        place_of = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
        account.failures[seed] = f"{type(error).__name__} at {place_of}"
        account.words.setdefault(account.failures[seed], str(error)[:160])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def _hang(*_: object) -> None:
    raise Hanging


def main(count: int, names: list[str]) -> int:
    for how in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(how, _hang)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for target in all_targets():
            if names and target.name not in names:
                continue
            account = run(target, range(count), Path(folder))
            print(account.told(), flush=True)
            failed += bool(account.failures) or account.grown_mb > MOST_MB
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int((sys.argv[1:] or ["10000"])[0]), sys.argv[2:]))
