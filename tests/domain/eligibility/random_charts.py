"""Random charts for the laws of evaluation: facts of every kind, often of one moment."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.domain.eligibility.charts import (
    ACR,
    EMPTY_HANDED,
    SLEDAI,
    SLICC,
    Fact,
    consented,
    eligible,
    fact,
    history,
    lab,
    said,
    steroid,
    took,
    withdrew,
)

quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _one_of(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(text.split())


_day = _one_of(
    "2026-05-22 2026-08-30 2026-08-31 2026-09 2026-10-20 2026-11 2026-11-22 2026-11-23"
    " 2026-11-25 2026-12-02 2026-12-13 2026-12-14 2026-12-20"
)
_start = _one_of("2019 2024-03-01 2025-12-15 2026-08-31 2026-09 2026-09-14 2026-10-05 2026-11-10")
_end = st.sampled_from([None, "2026-10", "2026-11-01", "2026-11-23", "2026-12-20"])
_reads = st.sampled_from(["positive", "negative", "indeterminate"])
_presence = st.sampled_from([None, "SLE", "asthma"])


def _components(code: str, items: tuple[str, ...]) -> st.SearchStrategy[Fact]:
    each = st.sampled_from(["present", "absent", "unknown"])
    components = st.dictionaries(st.sampled_from(items), each, min_size=1, max_size=8)
    return st.builds(
        lambda found, on: fact("observation-recorded", on, code=code, components=found),
        components,
        _day,
    )


_findings = st.builds(
    lambda code, reads, on: lab(code, reads=reads, on=on),
    _one_of(
        "anti-dsdna hbsag anti-hbc hbv-dna anti-hcv hcv-rna hiv hiv-confirmatory igra"
        " hcg-urine hcg-serum"
    ),
    _reads,
    _day,
)
_numbers = st.one_of(
    st.builds(
        lambda value, on: lab("ana-titre", value, on=on),
        st.sampled_from(["1:40", "1:160", ">1:80", "<1:80", "1:640"]),
        _day,
    ),
    st.builds(
        lambda value, on: lab("creatinine", value, "mg/dL", on=on),
        st.sampled_from(["0.7", "2.05", "2.1", "4.4", ">1.5"]),
        _day,
    ),
    st.builds(
        lambda value, on: lab("weight", value, "kg", on=on), st.sampled_from(["55", "72"]), _day
    ),
)
_told_at = st.one_of(st.just("2026-11-23"), _one_of("2026-11-20 2026-11 2026-11-25"))
"""When a record was told: of one moment in most charts, so that records contradict each other."""

medicines = st.one_of(
    st.builds(
        lambda classes, start, end, indication, at: took(
            f"X-{'-'.join(classes)}",
            classes,
            start,
            end,
            indication=indication,
            half_life_days="12",
            at=at,
        ),
        st.lists(
            _one_of(
                "antimalarial immunosuppressant biologic investigational msc-therapy cell-therapy"
            ),
            min_size=1,
            max_size=2,
            unique=True,
        ),
        _start,
        _end,
        _presence,
        _told_at,
    ),
    st.builds(
        lambda mg, start, end, indication, route, changed, at: steroid(
            mg,
            start,
            end,
            indication=indication,
            route=route,
            record="P",
            changed_on=changed,
            at=at,
        ),
        st.sampled_from(["5", "27.5", "36", "90"]),
        _start,
        _end,
        _presence,
        st.sampled_from(["oral", "topical", None]),
        st.sampled_from([None, None, "2026-09-20", "2026-10", "2026-11-02"]),
        _told_at,
    ),
)
histories = st.builds(
    lambda category, start, end, treated, planned, at: history(
        category,
        f"H-{category}",
        started_on=start,
        ended_on=end,
        adequately_treated=treated,
        planned=planned,
        at=at,
    ),
    st.sampled_from(["cancer", "dialysis", "major-surgery", "infection"]),
    _start,
    _end,
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True]),
    _told_at,
)
_answers = st.builds(
    said,
    _one_of(
        "able-to-follow-visits agrees-contraception medication-history-taken"
        " medical-history-taken active-tuberculosis-ruled-out " + " ".join(EMPTY_HANDED)
    ),
    st.booleans(),
    _day,
)
any_fact = st.one_of(
    _findings,
    _numbers,
    medicines,
    histories,
    _answers,
    st.just(consented()),
    st.just(withdrew("visits")),
    st.sampled_from(eligible[5:]),
    _components("acr-1997", ACR),
    _components("slicc-2012", SLICC),
    _components("sledai-2k", SLEDAI),
)
charts = st.lists(any_fact, max_size=30, unique_by=repr)
