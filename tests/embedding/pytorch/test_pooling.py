from __future__ import annotations

import pytest
import torch

from cbir.embedding.pytorch.pooling import GemPooling, pooling_module, rmac_regions

MAP = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, -8.0]]]])
"""One image, two channels, 2 × 2 positions."""


def test_avg_is_the_mean_over_positions() -> None:
    assert pooling_module("avg")(MAP).tolist() == [[2.5, -2.0]]


def test_max_is_the_maximum_over_positions() -> None:
    assert pooling_module("max")(MAP).tolist() == [[4.0, 0.0]]


def test_gem_is_the_cubic_mean_and_takes_negative_values_for_epsilon() -> None:
    (first, second) = pooling_module("gem")(MAP)[0].tolist()
    assert first == pytest.approx(((1 + 8 + 27 + 64) / 4) ** (1 / 3))
    assert second == pytest.approx(1e-6, rel=1e-3)


def test_gem_lies_between_avg_and_max() -> None:
    torch.testing.assert_close(GemPooling(p=1.0)(MAP.clamp(min=1)), MAP.clamp(min=1).mean((2, 3)))
    torch.testing.assert_close(GemPooling(p=60.0)(MAP)[0, 0], torch.tensor(4.0), atol=0.1, rtol=0)


@pytest.mark.parametrize("p", [0.0, -1.0])
def test_gem_refuses_a_power_that_is_not_positive(p: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        GemPooling(p=p)


def test_rmac_looks_at_fourteen_regions_of_a_large_map() -> None:
    regions = rmac_regions(7)
    assert len(regions) == 14
    assert regions[0] == (0, 0, 7)
    assert {side for _, _, side in regions} == {7, 5, 4}
    assert all(top + side <= 7 and left + side <= 7 for top, left, side in regions)
    assert rmac_regions(1) == [(0, 0, 1)]


def test_rmac_sums_the_normalised_maxima_of_regions() -> None:
    vector = pooling_module("rmac")(MAP.abs())[0]
    expected = torch.zeros(2)
    for top, left, side in rmac_regions(2):
        region = MAP.abs()[0, :, top : top + side, left : left + side].amax(dim=(1, 2))
        expected += region / region.norm()
    torch.testing.assert_close(vector, expected)


def test_rmac_of_nothing_is_nothing() -> None:
    assert pooling_module("rmac")(torch.zeros(1, 3, 4, 4)).tolist() == [[0, 0, 0]]


def test_flatten_keeps_positions_channels_first() -> None:
    assert pooling_module("flatten")(MAP).tolist() == [[1, 2, 3, 4, 0, 0, 0, -8]]


def test_cls_passes_a_class_token_on() -> None:
    token = torch.rand(2, 3)
    assert pooling_module("cls")(token) is token


def test_a_network_has_no_pooling_none() -> None:
    with pytest.raises(ValueError, match="no pooling 'none'"):
        pooling_module("none")
