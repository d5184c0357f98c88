"""Settings that every test shares."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no reason to fail: time is measured by `kdbts benchmark`, not by tests.
settings.register_profile("kdbts", deadline=None)
settings.load_profile("kdbts")
