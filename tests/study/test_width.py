import pytest

from vig_pyg.study.width import matching_width


@pytest.mark.parametrize(("target", "width"), [(1, 4), (12 * 12, 12), (13 * 13, 12), (15 * 15, 16), (10**6, 40)])
def test_the_nearest_width_of_all(target: int, width: int) -> None:
    widths = range(4, 44, 4)
    found, tried = matching_width(lambda w: w * w, target, widths)
    assert found == width == min(widths, key=lambda w: abs(w * w - target))
    assert tried[found] == found**2 and len(tried) <= 5
