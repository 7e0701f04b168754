import pytest

from ripen.core.progress import progress


def test_without_a_terminal_the_last_step_prints_a_plain_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress("train", 3) as advance:
        advance("loss 0.9")
        advance("loss 0.5")
        advance("loss 0.1")
    assert capsys.readouterr().out == "train: 3/3 loss 0.1\n"


def test_without_a_terminal_a_slow_step_prints_lines_in_between(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 2.5, 2.5, 3.0, 3.5])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress("train", 100) as advance:
        advance("a", 10)
        advance("b", 10)
        advance("c", 10)
    assert capsys.readouterr().out == "train: 20/100 b\n"
