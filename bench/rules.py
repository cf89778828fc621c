"""Criteria beside another rule engine: the same comparison by Cairn and by zen-engine.

The other engine compares what it is handed: plain numbers and days, prepared beforehand. Cairn
reads the participant's own facts and also gives evidence, windows and what is missing. So the ratio
is what all of that costs, not who compares numbers faster.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from domain.participant import Participant
from tests.domain.eligibility.charts import SLEDAI, chart, eligible, judged, lab, scored, without
from tests.specs import lk_23_01

NAME = "zen-engine"

TITRE_OR_ANTIBODY = """
    some(titres, #.value >= 160 and date(#.on) >= date(first) and date(#.on) <= date(last))
    or some(antibodies, #.result == "positive" and date(#.on) >= date(first)
        and date(#.on) <= date(last))
""".replace("\n", " ")

SCORE = 'sum(map(filter(items, #.state == "present"), #.weight)) >= 6'

Run = Callable[[], object]


def pairs() -> list[tuple[str, Run, Run]]:
    """Criterion with its comparison, by Cairn and by the other engine.

    ImportError where that is not installed. AssertionError when the two do not say the same.
    """
    import zen

    found: list[tuple[str, Run, Run]] = []
    for criterion, expression, cases in (
        ("I3", TITRE_OR_ANTIBODY, ((eligible, _serology(640)), (_low_titre(), _serology(80)))),
        ("I6", SCORE, ((eligible, _items()), (_quiet(), _items(only="rash")))),
    ):
        compiled = zen.compile_expression(expression)
        for facts, values in cases:
            who = chart(facts)
            passes = judged(criterion, who, lk_23_01()).outcome == "passed"
            assert compiled.evaluate(values) is passes, criterion
            found.append(
                (
                    f"{criterion}, {'passes' if passes else 'fails'}",
                    _ours(criterion, who),
                    partial(compiled.evaluate, values),
                )
            )
    return found


def _ours(criterion: str, who: Participant) -> Run:
    protocol = lk_23_01()
    return lambda: judged(criterion, who, protocol)


def _low_titre() -> tuple[Any, ...]:
    rest = without("ana-titre", "anti-dsdna")
    negative = lab("anti-dsdna", reads="negative")
    return (*rest, lab("ana-titre", "1:80", on="2026-09-14"), negative)


def _quiet() -> tuple[Any, ...]:
    return (*without("sledai-2k"), scored("sledai-2k", "rash"))


def _serology(titre: int) -> dict[str, Any]:
    result = "positive" if titre >= 160 else "negative"
    return {
        "titres": [{"value": titre, "on": "2026-09-14"}],
        "antibodies": [{"result": result, "on": "2026-11-23"}],
        "first": "2026-05-23",
        "last": "2026-12-13",
    }


def _items(only: str | None = None) -> dict[str, Any]:
    present = {only} if only else {"arthritis", "rash", "low-complement"}
    weights = lk_23_01().dictionary["sledai-2k"].items
    return {
        "items": [
            {"state": "present" if item in present else "absent", "weight": int(weights[item])}
            for item in SLEDAI
        ]
    }
