from tests.reliability.damage import campaign


def test_damaged_files_end_in_one_sentence_or_in_the_right_result() -> None:
    counts, wrong = campaign(200)
    assert not wrong, "\n".join(wrong)
    assert counts["clear"] + counts["right"] == counts["tried"] == 200
    assert min(counts["clear"], counts["right"]) >= 40
