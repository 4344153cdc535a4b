import json

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from vig_pyg.study.finding import write_finding


def test_a_table_and_its_pictures_are_written_and_captions_are_kept(tmp_path) -> None:
    frame = pd.DataFrame({"accuracy (%)": [90.5, float("nan")]}, ["a", "b"])
    captions = write_finding(tmp_path / "new", "heads", frame, {"heads": (Figure(), "A chart.")})
    assert captions == {"heads": "A chart."}
    with Image.open(tmp_path / "new" / "heads.png") as picture:
        assert picture.width > 100
    content = json.loads((tmp_path / "new" / "heads.json").read_text())
    assert content["rows"] == [{"name": "a", "accuracy (%)": 90.5}, {"name": "b"}] and "processor" in content["machine"]
