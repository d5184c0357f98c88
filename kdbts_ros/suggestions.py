"""What somebody may have meant by a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Names this much alike are offered, and of topics, whose last parts are alike in any case, these.
_ALIKE, _TOPICS_ALIKE = 0.6, 0.7


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name most like another one; None where none is much like it.

    A topic that lies in some namespace as the wanted one does in none is the most like it.
    """
    by_lower = {known.lower(): known for known in names}
    wanted = name.lower()
    inside = [
        known for known in by_lower if "/" in name and known.endswith(f"/{wanted.strip('/')}")
    ]
    if inside and wanted not in by_lower:
        return by_lower[min(inside, key=lambda known: (len(known), known))]
    cutoff = _TOPICS_ALIKE if "/" in name else _ALIKE
    found = get_close_matches(wanted, by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """The end of a sentence, `, did you mean 'NAME'?`; empty where nothing is much like it."""
    found = closest(name, names)
    return f", did you mean '{found}'?" if found is not None and found != name else ""
