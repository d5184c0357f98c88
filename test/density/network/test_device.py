"""What "auto" chooses, and what is refused."""

from __future__ import annotations

import pytest
import torch

from kdbts_ros.density.engines.choose import inference_precision
from kdbts_ros.density.network.precision import choose_precision
from kdbts_ros.errors import UserError
from kdbts_ros.learning.losses.encoding import encoder_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False}, "float32"),
        ({"avx2": True, "avx512_bf16": True}, "float32"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"neon": True, "bf16": True}, "bfloat16"),
        ({}, "float32"),
    ],
)
def test_a_processor_gets_bfloat16_if_it_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision("auto", CPU) == expected
    assert encoder_precision("auto", CPU) == expected
    assert inference_precision("auto", CPU) == "float32", "engines lay weights out for it"


def test_a_torch_that_does_not_tell_is_not_trusted_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", CPU) == "float32"


def test_a_named_precision_is_taken_at_its_word() -> None:
    assert choose_precision("bfloat16", CPU) == "bfloat16"
    assert encoder_precision("float16", CPU) == "float16"


def test_an_unknown_precision_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match="'int8', use auto, float32, bfloat16"):
        choose_precision("int8", CPU)
