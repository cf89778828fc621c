"""Rules in English, so that a clinician can check what the data say against the protocol's text."""

from typing import TYPE_CHECKING, assert_never

from domain.eligibility import rules
from domain.eligibility.picking import length_in_words, limits_in_words
from domain.eligibility.rules import Medicines, Window
from domain.eligibility.windows import ANCHOR_NAMES

if TYPE_CHECKING:
    from domain.trial.protocol import Protocol


def english(rule: rules.Rule, protocol: "Protocol") -> str:
    """The rule as a sentence without a full stop; codes are called by their names."""
    return _Words(protocol).of(rule)


class _Words:
    def __init__(self, protocol: "Protocol") -> None:
        self._protocol = protocol

    def of(self, rule: rules.Rule) -> str:
        match rule:
            case rules.Age():
                return f"age at the screening visit {_years(rule)}"
            case rules.Consent():
                return "written consent is current"
            case rules.Attested():
                return self._attested(rule)
            case rules.History():
                return self._history(rule)
            case Medicines():
                return self._medicines(rule)
            case (
                rules.All()
                | rules.Any()
                | rules.AtLeast()
                | rules.Not()
                | rules.Decided()
                | rules.AppliesTo()
                | rules.Remark()
            ):
                return self._logic(rule)
            case _:
                return self._observed(rule)

    def _logic(self, rule: rules.LogicRule) -> str:
        match rule:
            case rules.All():
                return self._joined("all of", rule.of)
            case rules.Any():
                return self._joined("any of", rule.of)
            case rules.AtLeast():
                return self._joined(f"at least {rule.count} of", rule.of)
            case rules.Not():
                return f"not ({self.of(rule.of)})"
            case rules.Decided():
                return f"yes if ({self.of(rule.yes)}), no if ({self.of(rule.no)}), else open"
            case rules.AppliesTo():
                return f"for {_whom(rule)}: {self.of(rule.of)}"
            case rules.Remark():
                return f"{self.of(rule.of)} [a remark is made if ({self.of(rule.when)})]"
            case _:
                assert_never(rule)

    def _joined(self, how: str, members: tuple[rules.Rule, ...]) -> str:
        if len(members) == 1:
            return self.of(members[0])
        return f"{how}: " + "; ".join(f"({self.of(one)})" for one in members)

    def _observed(self, rule: rules.ObservationRule) -> str:
        when = _window(rule.within)
        match rule:
            case rules.Value():
                asked = f"{limits_in_words(rule)} {rule.unit}"
                return f"{self._name(rule.code)} {asked}, {_picked(rule.pick)}, {when}"
            case rules.Titre():
                return f"{self._name(rule.code)} at least {rule.at_least}, {when}"
            case rules.Finding():
                results = " or ".join(rule.results)
                return f"{self._name(rule.code)} {results}, {_picked(rule.pick)}, {when}"
            case rules.OneOf():
                return f"{self._name(rule.code)} one of {', '.join(rule.values)}, {when}"
            case rules.Items():
                return f"{self._name(rule.code)}: {_items(rule)}, {when}"
            case rules.Score():
                return (
                    f"{self._name(rule.code)} {limits_in_words(rule)} points{_over(rule)}, {when}"
                )
            case rules.Egfr():
                return self._egfr(rule, when)
            case _:
                assert_never(rule)

    def _egfr(self, rule: rules.Egfr, when: str) -> str:
        ways = []
        if rule.creatinine is not None:
            ways.append(f"by CKD-EPI 2021 from {self._name(rule.creatinine)}")
        if rule.code is not None:
            ways.append("as reported")
        return f"eGFR {limits_in_words(rule)} mL/min/1.73 m2 ({' or '.join(ways)}), {when}"

    def _medicines(self, rule: rules.MedicationRule) -> str:
        which = _which(rule)
        match rule:
            case rules.MedicationTaken():
                return f"{which} taken {_window(rule.within)}"
            case rules.MedicationHeld():
                length = length_in_words(rule.at_least)
                return f"{which} for at least {length} before {ANCHOR_NAMES[rule.anchor]}"
            case rules.MedicationChanged():
                return f"{which} started, stopped or changed {_window(rule.within)}"
            case rules.MedicationElapsed():
                lives = (
                    f" or {rule.half_lives:f} half-lives, whichever is longer,"
                    if rule.half_lives is not None
                    else ""
                )
                anchor = ANCHOR_NAMES[rule.anchor]
                return f"at least {rule.at_least_days} days{lives} from {which} to {anchor}"
            case rules.MedicationDays():
                days = rule.more_than_days
                return f"{which} on more than {days} days in total {_window(rule.within)}"
            case rules.DailyDose():
                each = "on any day" if rule.aggregate == "any-day" else "on average"
                return (
                    f"{which}, together more than {rule.more_than:f} mg of prednisone a day and kg"
                    f" of {self._name(rule.weight)}, {each} {_window(rule.within)}"
                )
            case _:
                assert_never(rule)

    def _attested(self, rule: rules.Attested) -> str:
        text = self._protocol.statements.get(rule.statement, rule.statement)
        answer = "attested" if rule.answer else "denied"
        return f"{answer}: {text.strip().rstrip('.')}"

    def _history(self, rule: rules.History) -> str:
        kinds = " or ".join((*rule.categories, *rule.codes)) or "any item"
        planned = "planned " if rule.planned else ""
        within = f" {_window(rule.within)}" if rule.within is not None else ""
        parts = [f"{planned}{kinds} in the history{within}"]
        if rule.statuses:
            parts.append(f"with status {' or '.join(rule.statuses)}")
        if rule.not_statuses:
            parts.append(f"not with status {' or '.join(rule.not_statuses)}")
        if rule.exempt is not None:
            parts.append(f"other than {_exempt(rule.exempt)}")
        return ", ".join(parts)

    def _name(self, code: str) -> str:
        entry = self._protocol.dictionary.get(code)
        return entry.name if entry is not None else code


def _exempt(exempt: rules.Exempt) -> str:
    what = " or ".join(exempt.codes) or "those"
    if exempt.adequately_treated is None:
        return what
    treated = "adequately treated" if exempt.adequately_treated else "not adequately treated"
    return f"{treated} {what}"


def _items(rule: rules.Items) -> str:
    parts = [f"at least {rule.at_least} items"]
    parts += [f"at least {count} {group}" for group, count in rule.groups.items()]
    parts += [f"{item} only without {other}" for item, other in rule.only_without.items()]
    return ", ".join(parts)


def _over(rule: rules.Score) -> str:
    if rule.items_over is None:
        return ""
    return f" for what was present in the {length_in_words(rule.items_over)} up to its day"


def _which(rule: Medicines) -> str:
    parts = [" or ".join(rule.classes)]
    if rule.not_classes:
        parts.append(f"not {' or '.join(rule.not_classes)}")
    if rule.indications:
        parts.append(f"for {' or '.join(rule.indications)}")
    if rule.not_indications:
        parts.append(f"not for {' or '.join(rule.not_indications)}")
    if rule.routes:
        parts.append(" or ".join(rule.routes))
    return f"a medicine ({', '.join(parts)})"


def _whom(rule: rules.AppliesTo) -> str:
    groups = [" or ".join(rule.sexes)] if rule.sexes else []
    if rule.childbearing_potential:
        groups.append("who may become pregnant")
    return " or ".join(groups)


def _years(rule: rules.Age) -> str:
    limits = (("at least", rule.at_least), ("at most", rule.at_most))
    return " and ".join(f"{words} {years}" for words, years in limits if years is not None)


def _picked(pick: rules.Pick) -> str:
    return "in any result" if pick == "any" else f"the {pick} result"


def _window(window: Window) -> str:
    if window.anchor == "lifetime":
        return "at any time up to day 0"
    anchor = ANCHOR_NAMES[window.anchor]
    until = {
        "anchor": f"to {anchor}",
        "day-before": f"to the day before {anchor}",
        "before-day-0": "to the day before day 0",
        "day-0": "to day 0",
    }[window.until]
    if window.back is None:
        return f"at any time {until}"
    if int(window.back[1:-1]) == 0:
        return f"on {anchor}" if window.until == "anchor" else f"from {anchor} {until}"
    return f"from {length_in_words(window.back)} before {anchor} {until}"
