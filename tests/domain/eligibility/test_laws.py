"""Laws of evaluation, on random charts: what learning may change, and what outcomes rest on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.clinical.interval import FALSE, TRUE, UNKNOWN
from domain.eligibility.compiling import compiled
from domain.eligibility.evaluate import (
    Outcome,
    Verdict,
    evaluate,
    ready_for,
    verdict_under,
)
from domain.eligibility.facts import Facts
from domain.eligibility.logic import Result
from domain.eligibility.reads import read_of
from domain.eligibility.rules import Rule
from domain.eligibility.truths import Leaves
from domain.participant import Participant
from tests.domain.eligibility.charts import (
    EMPTY_HANDED,
    NEW_YORK,
    Fact,
    booked,
    chart,
    consented,
    dosed,
    eligible,
    fact,
    folded,
    judged,
    lab,
    person,
    referred,
    said,
    screened,
    then,
)
from tests.domain.eligibility.random_charts import any_fact, charts, histories, medicines, quick
from tests.specs import Study, lk_23_01

BASE = (screened(), booked(), person(bearing=True))
"""Anchors and the person: facts that move windows are not part of the random charts."""


def _verdict(lines: dict[int, Fact]) -> Verdict:
    return verdict_under(lk_23_01(), folded(lines), NEW_YORK)


def _only(criterion: str, lines: dict[int, Fact]) -> Outcome:
    return judged(criterion, folded(lines), lk_23_01())


def _numbered(facts: list[Fact]) -> dict[int, Fact]:
    return dict(enumerate((*BASE, *facts), start=1))


def _told(verdict: Verdict) -> dict[str, Outcome]:
    return {one.criterion: one for one in verdict.outcomes}


# --- laws of the facts ----------------------------------------------------------------------------


@quick
@given(charts, any_fact)
def test_what_a_new_fact_changes_it_changes_by_its_own_content(
    facts: list[Fact], new: Fact
) -> None:
    lines = _numbered(facts)
    position = len(lines) + 1
    before, after = _told(_verdict(lines)), _told(_verdict({**lines, position: new}))
    for criterion, told in after.items():
        if told.outcome != before[criterion].outcome:
            assert position in told.evidence, (criterion, before[criterion], told)


def test_an_unknown_rests_on_what_is_known_as_well() -> None:
    """An answer that takes back the one that decided is named, though another part is open."""
    yes, no = (said("renal-replacement-expected", answer) for answer in (True, False))
    lines = _numbered([yes, replace(no, at="2026-11-25")])
    told = _told(_verdict(lines))["E2"]
    assert (told.outcome, 5 in told.evidence) == ("unknown", True)


@quick
@given(charts)
def test_the_cited_facts_alone_say_the_same(facts: list[Fact]) -> None:
    lines = _numbered(facts)
    for criterion, told in _told(_verdict(lines)).items():
        cited = {position: lines[position] for position in told.evidence}
        again = _only(criterion, cited)
        assert again.outcome == told.outcome, (told, again)


@quick
@given(charts)
def test_without_the_cited_facts_nothing_of_them_is_known(facts: list[Fact]) -> None:
    lines = _numbered(facts)
    for criterion, told in _told(_verdict(lines)).items():
        if told.outcome == "unknown":
            continue
        rest = {at: one for at, one in lines.items() if at not in told.evidence}
        again = _only(criterion, rest)
        # What is decided still is decided by other facts: an older result, another way to meet it.
        assert again.outcome == "unknown" or not set(again.evidence) & set(told.evidence)


@quick
@given(charts)
def test_what_is_unknown_says_what_would_settle_it(facts: list[Fact]) -> None:
    for told in _verdict(_numbered(facts)).outcomes:
        assert bool(told.missing) == (told.outcome == "unknown"), told


@quick
@given(charts, st.data())
def test_what_two_records_of_one_moment_leave_is_what_either_alone_leaves(
    facts: list[Fact], data: Any
) -> None:
    kind = data.draw(st.sampled_from([medicines, histories]))
    one, like = data.draw(kind), data.draw(kind)
    record = {key: one.data[key] for key in ("medication", "item") if key in one.data}
    # A record that names a later day of change is a change of the other, and contradicts nothing.
    same = {"changed_on": one.data["changed_on"]} if "changed_on" in one.data else {}
    kept = {key: value for key, value in like.data.items() if key != "changed_on"}
    other = replace(like, at=one.at, data={**kept, **record, **same})
    rest = [fact for fact in facts if not record.items() <= fact.data.items()]
    both, *each = (
        _told(_verdict(_numbered([*rest, *records])))
        for records in ((one, other), (one,), (other,))
    )
    for criterion, told in both.items():
        alone = {outcomes[criterion].outcome for outcomes in each}
        assert told.outcome == "unknown" or alone == {told.outcome}, told


def test_in_a_chart_with_one_fact_for_each_need_deleting_the_evidence_opens_the_outcome() -> None:
    lines = dict(enumerate(eligible, start=1))
    for criterion, told in _told(_verdict(lines)).items():
        rest = {at: one for at, one in lines.items() if at not in told.evidence}
        assert _only(criterion, rest).outcome == "unknown"


@quick
@given(charts, st.randoms())
def test_the_order_of_arrival_changes_nothing(facts: list[Fact], random: Any) -> None:
    lines = list(_numbered(facts).items())
    random.shuffle(lines)
    shuffled = {position: one for position, (_, one) in enumerate(lines, start=1)}
    before, after = _verdict(_numbered(facts)), _verdict(shuffled)
    assert before.digest() == after.digest()
    moved = {old: new for new, (old, _) in enumerate(lines, start=1)}
    for one, other in zip(before.outcomes, after.outcomes, strict=True):
        assert tuple(sorted(moved[at] for at in one.evidence)) == other.evidence
        assert (one.missing, one.near_threshold) == (other.missing, other.near_threshold)


_TAKEN = {at for at, one in enumerate(eligible) if one.type == "medication-recorded"}


@quick
@given(st.sets(st.integers(0, len(eligible) - 1)))
def test_following_the_missing_list_lets_somebody_pass(gone: set[int]) -> None:
    kept = [one for at, one in enumerate(eligible) if at not in gone - _TAKEN]
    for criterion in _told(_verdict(dict(enumerate(kept, start=1)))):
        facts = list(kept)
        for _ in range(4):
            told = _only(criterion, dict(enumerate(facts, start=1)))
            assert told.outcome != "failed"
            if told.outcome == "passed":
                break
            assert told.missing
            facts += _answering(told.missing)
        assert told.outcome == "passed", told


@quick
@given(st.sets(st.integers(0, len(eligible) - 1)), st.data())
def test_no_shorter_list_would_do(gone: set[int], data: Any) -> None:
    kept = [one for at, one in enumerate(eligible) if at not in gone - _TAKEN]
    lines = dict(enumerate(kept, start=1))
    for criterion, told in _told(_verdict(lines)).items():
        if len(told.missing) < 2:
            continue
        spared = data.draw(st.sampled_from(told.missing))
        some = _answering(tuple(one for one in told.missing if one != spared))
        after = {**lines, **dict(enumerate(some, start=len(lines) + 1))}
        assert _only(criterion, after).outcome == "unknown"


def _answering(missing: tuple[str, ...]) -> list[Fact]:
    known: dict[str, Fact] = {
        "screening-visit": screened(),
        "planned-day-0": booked(),
        "consent": consented(),
        "birth-date": person(bearing=True),
        "sex": person(bearing=True),
        "childbearing-potential": person(bearing=True),
        "egfr": lab("egfr", "88", "mL/min/{1.73_m2}"),
        "hcg-urine": lab("hcg-urine", reads="negative"),
    }
    for one in eligible:
        word = one.data.get("code") or one.data.get("statement")
        if word:
            known[word] = one
    return [known[word] for word in missing]


_anchors = st.one_of(
    st.builds(screened, st.sampled_from(["2026-11-20", "2026-11-23"])),
    st.builds(
        booked,
        st.sampled_from(["2026-12-14", "2026-12-21"]),
        st.sampled_from(["2026-11-24T09:00:00-05:00", "2026-11-25T09:00:00-05:00"]),
    ),
    st.sampled_from(
        [
            fact("visit-cancelled", "2026-11-24T12:00:00-05:00", visit="V1"),
            fact("rescreening-opened", "2026-11-24", cause="again"),
            fact("visit-completed", "2026-11-23", visit="V0", mode="in-person"),
            dosed("2026-12-14"),
            dosed("2026-12-15"),
            person(sex="male"),
            person("2008", bearing=False),
            fact("corrected", "2026-12-30", position=1, occurred_at="2026-11-22"),
            fact("retracted", "2026-12-30", position=2),
        ]
    ),
)


@quick
@given(st.lists(st.one_of(any_fact, _anchors), max_size=40))
def test_deciding_again_only_what_was_touched_says_the_same(facts: list[Fact]) -> None:
    trial = Study(lk_23_01()).trial
    who = Participant("01-001")
    for position, one in enumerate((referred(), *facts), start=1):
        who = then(who, one, position)
        if position % 3:
            continue
        told = evaluate(trial, who)
        anew = verdict_under(lk_23_01(), who, trial.zone(who.site))
        # First by the truths of leaves alone, then with all that outcomes rest on.
        assert told.told == tuple(one.outcome for one in anew.outcomes)
        assert (told.verdict, told.digest()) == (anew.verdict, anew.digest())
        if position % 2:
            assert told == anew
        assert evaluate(trial, who) is told


@quick
@given(any_fact, charts)
def test_what_one_fact_touches_is_all_that_is_decided_again(new: Fact, facts: list[Fact]) -> None:
    trial = Study(lk_23_01()).trial
    who = folded(_numbered([referred(), *facts]))
    before = evaluate(trial, who).outcomes
    after = evaluate(trial, then(who, new, 1_000)).outcomes
    same = [one is other for one, other in zip(before, after, strict=True)]
    assert same.count(False) <= 11


@quick
@given(st.lists(st.one_of(any_fact, _anchors), max_size=40))
def test_leaves_tell_the_truth_of_the_whole_criterion(facts: list[Fact]) -> None:
    prepared = ready_for(lk_23_01())
    asked = prepared.facts(read_of(lk_23_01(), NEW_YORK, chart([referred(), *facts])))
    truths = [one.truth(asked) for one in prepared.leaves]
    for one in prepared.criteria:
        assert one.truth(truths) == one.evaluate(asked).truth, one.criterion.id
        assert frozenset().union(*(prepared.leaves[at].reads for at in one.leaves)) <= one.reads


# --- laws of the logic ----------------------------------------------------------------------------

_STATEMENTS = EMPTY_HANDED[:5]
_leaves = st.builds(
    lambda name, answer: {"rule": "attested", "statement": name, "answer": answer},
    st.sampled_from(_STATEMENTS),
    st.booleans(),
)


def _branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=4)
    return st.one_of(
        st.builds(lambda of: {"rule": "all", "of": of}, several),
        st.builds(lambda of: {"rule": "any", "of": of}, several),
        st.builds(lambda of: {"rule": "not", "of": of}, inner),
        st.builds(
            lambda count, of: {"rule": "at-least", "count": count, "of": of},
            st.integers(1, 4),
            several,
        ),
        st.builds(lambda yes, no: {"rule": "decided", "yes": yes, "no": no}, inner, inner),
    )


_rules = st.recursive(_leaves, _branches, max_leaves=12)
_answered = st.dictionaries(st.sampled_from(_STATEMENTS), st.booleans())
_RULES: TypeAdapter[Any] = TypeAdapter(Rule)


def _says(rule: dict[str, Any], answers: dict[str, bool]) -> Result:
    facts = chart([said(name, answer) for name, answer in sorted(answers.items())])
    function = compiled(_RULES.validate_python(rule), lk_23_01())
    return function(Facts(read_of(lk_23_01(), NEW_YORK, facts), {}, None))


def _not(rule: Any) -> dict[str, Any]:
    return {"rule": "not", "of": rule}


@quick
@given(st.lists(_rules, min_size=1, max_size=4), _answered)
def test_de_morgan(members: list[Any], answers: dict[str, bool]) -> None:
    for one, other in (("all", "any"), ("any", "all")):
        left = _says(_not({"rule": one, "of": members}), answers)
        right = _says({"rule": other, "of": [_not(member) for member in members]}, answers)
        assert left.truth == right.truth
        assert left.evidence == right.evidence
        assert (left.for_true, left.for_false) == (right.for_true, right.for_false)


@quick
@given(_rules, st.sampled_from((None, True, False)), _answered)
def test_leaves_combine_as_results_do(
    rule: dict[str, Any], otherwise: bool | None, answers: dict[str, bool]
) -> None:
    if otherwise is not None:
        rule = {"rule": "applies-to", "sexes": ["female"], "otherwise": otherwise, "of": rule}
    for who in ([], [person()], [person(sex="male")]):
        facts = chart([said(name, answer) for name, answer in sorted(answers.items())], who)
        asked = Facts(read_of(lk_23_01(), NEW_YORK, facts), {}, None)
        whole = _RULES.validate_python(rule)
        leaves = Leaves(lk_23_01(), compiled)
        truth = leaves.of(whole)
        told = truth([one.truth(asked) for one in leaves.found])
        assert told == compiled(whole, lk_23_01())(asked).truth


@quick
@given(_rules, _answered)
def test_twice_not_is_the_rule_itself(rule: Any, answers: dict[str, bool]) -> None:
    once, thrice = _says(rule, answers), _says(_not(_not(rule)), answers)
    assert (once.truth, once.evidence) == (thrice.truth, thrice.evidence)


@quick
@given(st.lists(_rules, min_size=1, max_size=4), _answered)
def test_at_least_lies_between_any_and_all(members: list[Any], answers: dict[str, bool]) -> None:
    def least(count: int) -> int:
        return _says({"rule": "at-least", "count": count, "of": members}, answers).truth

    assert least(1) == _says({"rule": "any", "of": members}, answers).truth
    assert least(len(members)) == _says({"rule": "all", "of": members}, answers).truth
    counts = [least(count) for count in range(1, len(members) + 1)]
    assert counts == sorted(counts, reverse=True)


@quick
@given(_rules, _answered, st.data())
def test_answers_never_turn_what_is_known(rule: Any, answers: dict[str, bool], data: Any) -> None:
    """In logic of facts alone (without a decision table, which may be decided either way first)."""
    if "decided" in str(rule):
        return
    more = {name: data.draw(st.booleans()) for name in _STATEMENTS if name not in answers}
    before, after = _says(rule, answers).truth, _says(rule, {**answers, **more}).truth
    assert before in (UNKNOWN, after)
    assert after in (TRUE, FALSE) or "unknown" in str(rule)
