import pytest

from tests.reliability.misuse import campaign
from tests.reliability.wrong import Call, calls


@pytest.mark.parametrize("call", calls(), ids=lambda call: call.name)
def test_the_calls_are_right_but_for_one_argument(call: Call) -> None:
    call.function(**call.right)


def test_wrong_arguments_end_in_one_sentence() -> None:
    counts, wrong = campaign()
    assert not wrong, "\n".join(wrong)
    assert counts["clear"] == counts["tried"] >= 500
