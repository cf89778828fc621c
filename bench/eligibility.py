"""How long the criteria take: all 24 of LK-23-01 at once, what one new fact costs, and single
criteria beside another rule engine where that is installed.
"""

import time
from collections.abc import Callable, Iterator

from bench import rules
from bench.measured import Row, Sample
from bench.setting import Setting
from domain.eligibility.evaluate import evaluate, verdict_under
from domain.participant import Participant
from tests.domain.eligibility.charts import NEW_YORK, Fact, chart, eligible, lab, then, took
from tests.specs import Study, lk_23_01

RUNS = 1_500
"""Each is timed by itself: the best of many is what the work costs, however busy the machine."""
UNIT = "us"


def rows(setting: Setting) -> Iterator[Row]:
    """Microseconds, the best of many single runs."""
    runs = setting.size(RUNS, RUNS // 5)
    protocol, trial = lk_23_01(), Study(lk_23_01()).trial
    who = chart(eligible)
    busy = chart(eligible, [lab("platelets", str(100 + n), "10*3/uL") for n in range(500)])
    whole = {
        "all 24 criteria, fully documented": who,
        "all 24 criteria, beside 500 other results": busy,
    }
    for name, one in whole.items():
        best = _best(lambda one=one: verdict_under(protocol, one, NEW_YORK).outcomes, runs)  # type: ignore[misc]
        yield Row(name, UNIT, [best], less=True)
    for name, fact in (
        ("a new fact that no criterion reads", lab("platelets", "200", "10*3/uL")),
        ("a new body weight", lab("weight", "66", "kg", on="2026-11-28")),
        ("a new serology", lab("hbsag", reads="negative", on="2026-11-28")),
        ("a new medicine", took("X", "other", "2026-11-01", at="2026-11-28")),
    ):
        best = _best(_learning(who, fact, lambda one: evaluate(trial, one).told), runs)
        yield Row(f"criteria after {name}", UNIT, [best], less=True)
    yield from _beside(runs)


def _learning(
    before: Participant, fact: Fact, told: Callable[[Participant], object]
) -> Callable[[], object]:
    """One evaluation after a fact that alternates between known and not."""
    states = [before, then(before, fact, 9_999)]
    told(before)

    def run() -> object:
        states.reverse()
        return told(states[0])

    return run


def _beside(runs: int) -> Iterator[Row]:
    """Single criteria by Cairn and by the other engine, run by run in turn."""
    try:
        pairs = rules.pairs()
    except ImportError:
        note = f"{rules.NAME} not measured: it is not installed"
        yield Row("one criterion", UNIT, [], rules.NAME, note=note)
        return
    for name, ours, theirs in pairs:
        times = [(_timed(ours), _timed(theirs)) for _ in range(runs)]
        cairn, other = (Sample(min(some) * 1e6) for some in zip(*times, strict=True))
        yield Row(f"one criterion: {name}", UNIT, [cairn], rules.NAME, [other], less=True)


def _best(run: Callable[[], object], runs: int) -> Sample:
    run()
    return Sample(min(_timed(run) for _ in range(runs)) * 1e6)


def _timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
