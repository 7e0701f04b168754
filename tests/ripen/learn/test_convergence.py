from ripen.learn.convergence import Convergence, Reason


def watch(**changes: float) -> Convergence:
    settings = {"tolerance": 0.01, "patience": 2, "early_stopping": 3, "max_iter": 100}
    return Convergence(**(settings | changes))  # type: ignore[arg-type]


def test_converged_after_patience_changes_below_tolerance() -> None:
    convergence = watch()
    losses = [1.0, 0.5, 0.495, 0.6, 0.595, 0.59]
    reasons = [convergence.check(i, loss, 1.0 - i / 10) for i, loss in enumerate(losses)]
    # The second small change at 2 was followed by a large one, so counting began anew.
    assert reasons == [None] * 5 + [Reason.CONVERGED]


def test_a_change_of_exactly_the_tolerance_is_a_change() -> None:
    convergence = watch(tolerance=0.25, patience=1)
    assert convergence.check(1, 1.0, 0.9) is None
    assert convergence.check(2, 0.75, 0.8) is None
    assert convergence.check(3, 0.5625, 0.7) is Reason.CONVERGED


def test_early_stopping_keeps_the_best_iteration() -> None:
    convergence = watch()
    validation = [0.9, 0.5, 0.6, 0.5, 0.7]
    reasons = [convergence.check(i, 1.0 / (i + 1), v) for i, v in enumerate(validation)]
    assert reasons == [None] * 4 + [Reason.EARLY_STOPPING]
    assert (convergence.best_iteration, convergence.best_validation_loss) == (1, 0.5)


def test_max_iter_ends_it_in_any_case() -> None:
    convergence = watch(max_iter=7)
    assert convergence.check(6, 3.0, 0.5) is None
    assert convergence.check(7, 2.0, 0.4) is Reason.MAX_ITER


def test_convergence_comes_before_the_other_reasons() -> None:
    convergence = watch(patience=1, early_stopping=1, max_iter=2)
    assert convergence.check(1, 1.0, 0.5) is None
    assert convergence.check(2, 1.0, 0.6) is Reason.CONVERGED


def test_a_zero_tolerance_never_converges() -> None:
    convergence = watch(tolerance=0.0, early_stopping=100)
    assert [convergence.check(i, 1.0, 1.0) for i in range(1, 50)] == [None] * 49
