"""An epoch's figures by name."""

from vig_pyg.tasks.results import Epoch


def test_the_first_figure_is_the_score_and_a_row_holds_all():
    epoch = Epoch(1.5, {"box_ap": 0.3, "accuracy": 0.9}, 0.01, 12.0, 0.25)
    assert (epoch.score, epoch.accuracy) == (0.3, 0.9)
    assert list(epoch.row().items()) == [
        ("loss", 1.5),
        ("box_ap", 0.3),
        ("accuracy", 0.9),
        ("learning_rate", 0.01),
        ("seconds", 12.0),
        ("waiting", 0.25),
    ]
