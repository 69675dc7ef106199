"""The map of confusions: areas are shares of a class; the numbers stand in the hover text."""

import numpy as np

from rnnjax.reports.figures.confusions import confusion_figure

COUNTS = np.array([[[6, 2, 0], [0, 4, 0], [1, 0, 3]], [[8, 0, 0], [2, 2, 0], [1, 0, 3]]])  # two networks


def test_the_area_of_a_square_is_a_share_of_its_row() -> None:
    title, words, figure = confusion_figure(["a", "b", "<c>"], COUNTS, "Who is who")
    right, wrong = figure.data
    area = {
        (int(y), int(x)): float(size) ** 2
        for trace in (right, wrong)
        for x, y, size in zip(trace.x, trace.y, trace.marker.size, strict=True)
    }
    shares = {(0, 0): 7 / 8, (0, 1): 1 / 8, (1, 1): 3 / 4, (1, 0): 1 / 4, (2, 2): 3 / 4, (2, 0): 1 / 4}
    assert area.keys() == shares.keys()  # what never occurs has no square
    for cell, share in shares.items():
        np.testing.assert_allclose(area[cell] / area[0, 0], share / (7 / 8), rtol=1e-6)
    assert all(x == y for x, y in zip(right.x, right.y, strict=True)) and not (wrong.x == wrong.y).any()
    assert "a taken for b: 1 (12.5%)<br>0 to 2 over seeds" in wrong.text
    assert "2 seeds" in words and title == "Who is who"
    assert figure.layout.yaxis.ticktext == ("a", "b", "&lt;c&gt;")
    assert {right.marker.color, wrong.marker.color} == set(figure.layout.meta["dark"])
