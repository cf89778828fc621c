"""A protocol as a USDM 4.0 document: native classes for what USDM has, extensions for the rest.

Visits become encounters, with timings on the main timeline; visits without a day get a timeline of
their own. Reading the document again gives an equal protocol.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.trial.protocol import Protocol, Visit
from domain.trial.reading import plain
from domain.trial.usdm import words
from domain.trial.usdm.instances import Instances

_NATIVE = ("version", "title", "procedures", "visits", "criteria")
_VISIT_NATIVE = ("name", "mode", "anchor", "day", "before", "after", "procedures")
_LABELS = {"early-termination": "Early Termination Timeline", "unscheduled": "Unscheduled Visits"}


def exported(protocol: Protocol) -> dict[str, Any]:
    """The USDM document of a protocol, as plain objects."""
    return _Writer(protocol).document()


class _Writer:
    """Writes one document."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._plain = plain(protocol)
        self._new = Instances()
        self._encounters = {
            visit.code: f"Encounter_{index}" for index, visit in enumerate(protocol.visits, 1)
        }
        self._activities = {
            code: f"Activity_{index}" for index, code in enumerate(protocol.procedures, 1)
        }

    def document(self) -> dict[str, Any]:
        """The whole document."""
        study = {
            "id": None,
            "name": self._protocol.study,
            "description": None,
            "label": None,
            "versions": [self._version()],
            "documentedBy": [],
            "instanceType": "Study",
        }
        return {
            "study": study,
            "usdmVersion": words.USDM_VERSION,
            "systemName": "Cairn",
            "systemVersion": "1",
        }

    # --- the study and its design -----------------------------------------------------------------

    def _version(self) -> dict[str, Any]:
        protocol = self._protocol
        rest = {key: value for key, value in self._plain.items() if key not in _NATIVE}
        return {
            **self._new.instance("StudyVersion_1", "StudyVersion", rest),
            "versionIdentifier": protocol.version,
            "rationale": protocol.title,
            "documentVersionIds": [],
            "dateValues": [],
            "amendments": [],
            "businessTherapeuticAreas": [],
            "studyIdentifiers": self._identifiers(),
            "referenceIdentifiers": [],
            "studyDesigns": [self._design()],
            "titles": [self._title()],
            "eligibilityCriterionItems": list(self._items()),
            "narrativeContentItems": [],
            "abbreviations": [],
            "roles": [],
            "organizations": self._organizations(),
            "studyInterventions": list(self._interventions()),
            "administrableProducts": [],
            "medicalDevices": [],
            "productOrganizationRoles": [],
            "biomedicalConcepts": [],
            "bcCategories": [],
            "bcSurrogates": [],
            "dictionaries": [],
            "conditions": [],
            "notes": [],
        }

    def _title(self) -> dict[str, Any]:
        return {
            **self._new.instance("StudyTitle_1", "StudyTitle"),
            "text": self._protocol.title,
            "type": self._new.code(words.OFFICIAL_TITLE),
        }

    def _identifiers(self) -> list[dict[str, Any]]:
        texts = [self._protocol.study, self._protocol.registry]
        return [
            {
                **self._new.instance(f"StudyIdentifier_{index}", "StudyIdentifier"),
                "text": text,
                "scopeId": f"Organization_{index}",
            }
            for index, text in enumerate(texts, 1)
            if text is not None
        ]

    def _organizations(self) -> list[dict[str, Any]]:
        kinds = [("Sponsor", words.SPONSOR), ("Registry", words.REGISTRY)]
        return [
            {
                **self._new.instance(f"Organization_{index}", "Organization"),
                "name": name,
                "label": name,
                "type": self._new.code(term),
                "identifierScheme": "name",
                "identifier": name,
                "legalAddress": None,
                "managedSites": [],
            }
            for index, (name, term) in enumerate(kinds, 1)
        ]

    def _interventions(self) -> Iterator[dict[str, Any]]:
        product = self._protocol.dose.product
        if product is not None:
            yield {
                **self._new.named("StudyIntervention_1", "StudyIntervention", product),
                "codes": [],
                "administrations": [],
            }

    def _design(self) -> dict[str, Any]:
        population: dict[str, Any] = {
            **self._new.named("StudyDesignPopulation_1", "StudyDesignPopulation", "Population"),
            "includesHealthySubjects": False,
            "criterionIds": [f"EligibilityCriterion_{n + 1}" for n in range(self._count())],
            "plannedEnrollmentNumber": self._quantity(self._protocol.accrual),
            "plannedSex": [],
            "cohorts": [],
        }
        return {
            **self._new.named("InterventionalStudyDesign_1", "InterventionalStudyDesign", "Design"),
            "studyType": self._new.code(words.INTERVENTIONAL),
            "rationale": self._protocol.title,
            "encounters": list(self._encounter_list()),
            "activities": list(self._activity_list()),
            "arms": [],
            "studyCells": [],
            "epochs": [],
            "elements": [],
            "estimands": [],
            "indications": [],
            "objectives": [],
            "studyInterventionIds": [one["id"] for one in self._interventions()],
            "population": population,
            "scheduleTimelines": list(self._timelines()),
            "eligibilityCriteria": list(self._criteria()),
            "analysisPopulations": [],
        }

    def _count(self) -> int:
        return len(self._protocol.criteria)

    @staticmethod
    def _quantity(value: int | None) -> dict[str, Any] | None:
        if value is None:
            return None
        return {"id": "Quantity_1", "value": value, "unit": None, "instanceType": "Quantity"}

    # --- visits -----------------------------------------------------------------------------------

    def _encounter_list(self) -> Iterator[dict[str, Any]]:
        visits = self._protocol.visits
        identifiers = list(self._encounters.values())
        for index, visit in enumerate(visits):
            known = {
                key: value
                for key, value in self._plain["visits"][index].items()
                if key not in _VISIT_NATIVE
            }
            if visit.day is None:
                known |= {"anchor": visit.anchor, "before": visit.before, "after": visit.after}
            modes = [words.MODES[visit.mode]] if visit.mode else []
            yield {
                **self._new.instance(identifiers[index], "Encounter", known),
                "name": visit.code,
                "label": visit.name,
                "description": None,
                "type": self._new.code(words.VISIT),
                "previousId": identifiers[index - 1] if index else None,
                "nextId": identifiers[index + 1] if index + 1 < len(visits) else None,
                "scheduledAtId": None,
                "environmentalSettings": [],
                "contactModes": [self._new.code(mode) for mode in modes],
                "transitionStartRule": None,
                "transitionEndRule": None,
                "notes": [],
            }

    def _timelines(self) -> Iterator[dict[str, Any]]:
        planned = [visit for visit in self._protocol.visits if visit.day is not None]
        instances, timings = self._main(planned)
        yield self._timeline(1, "Main Timeline", instances, timings, main=True)
        unplanned = [visit for visit in self._protocol.visits if visit.day is None]
        for index, visit in enumerate(unplanned, 2):
            node = self._node(visit)
            timing = self._timing(node["id"], node["id"], words.FIXED, "P0D", None)
            yield self._timeline(index, _LABELS.get(visit.kind, visit.name), [node], [timing])

    def _main(self, visits: list[Visit]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Nodes and timings: the anchors first, then each visit by its distance from its anchor."""
        nodes = {visit.code: self._node(visit) for visit in visits}
        anchors: dict[str, str] = {}
        extra: list[dict[str, Any]] = []
        timings: list[dict[str, Any]] = []
        for anchor in dict.fromkeys(visit.anchor for visit in visits):
            own = next((v for v in visits if _is_anchor(v, anchor)), None)
            node = nodes[own.code] if own else self._anchor_node(anchor)
            if own is None:
                extra.append(node)
            node["extensionAttributes"] = self._new.extension({"anchor": anchor})
            anchors[anchor] = node["id"]
            first = "P1D" if self._protocol.settings.day_numbering == "day-1" else "P0D"
            timings.append(self._timing(node["id"], node["id"], words.FIXED, first, own))
        for visit in visits:
            node_id, anchor_id = nodes[visit.code]["id"], anchors[visit.anchor]
            if node_id != anchor_id:
                days = visit.day or 0
                way = words.AFTER if days >= 0 else words.BEFORE
                timings.append(self._timing(node_id, anchor_id, way, f"P{abs(days)}D", visit))
        return [*extra, *nodes.values()], timings

    def _node(self, visit: Visit) -> dict[str, Any]:
        return {
            **self._new.named(
                self._new.identifier("ScheduledActivityInstance"),
                "ScheduledActivityInstance",
                visit.name,
            ),
            "defaultConditionId": None,
            "epochId": None,
            "timelineId": None,
            "timelineExitId": None,
            "encounterId": self._encounters[visit.code],
            "activityIds": [self._activities[code] for code in visit.procedures],
        }

    def _anchor_node(self, anchor: str) -> dict[str, Any]:
        return {
            **self._new.named(
                self._new.identifier("ScheduledActivityInstance"),
                "ScheduledActivityInstance",
                f"Anchor: {anchor}",
            ),
            "defaultConditionId": None,
            "epochId": None,
            "timelineId": None,
            "timelineExitId": None,
            "encounterId": None,
            "activityIds": [],
        }

    def _timing(
        self, node: str, to: str, way: tuple[str, str], value: str, visit: Visit | None
    ) -> dict[str, Any]:
        windowed = visit is not None and visit.windowed
        before, after = (visit.before, visit.after) if visit is not None else (0, 0)
        identifier = self._new.identifier("Timing")
        return {
            **self._new.named(identifier, "Timing", identifier),
            "type": self._new.code(way),
            "value": value,
            "valueLabel": value,
            "relativeToFrom": self._new.code(words.START_TO_START),
            "relativeFromScheduledInstanceId": node,
            "relativeToScheduledInstanceId": to,
            "windowLower": f"P{before}D" if windowed else None,
            "windowUpper": f"P{after}D" if windowed else None,
            "windowLabel": f"-{before}..{after} days" if windowed else "",
        }

    def _timeline(
        self,
        number: int,
        name: str,
        instances: list[dict[str, Any]],
        timings: list[dict[str, Any]],
        *,
        main: bool = False,
    ) -> dict[str, Any]:
        return {
            **self._new.named(f"ScheduleTimeline_{number}", "ScheduleTimeline", name),
            "mainTimeline": main,
            "entryCondition": "Potential participant identified" if main else name,
            "entryId": instances[0]["id"] if instances else None,
            "exits": [],
            "timings": timings,
            "instances": instances,
            "plannedDuration": None,
        }

    # --- activities and criteria ------------------------------------------------------------------

    def _activity_list(self) -> Iterator[dict[str, Any]]:
        for code, activity in self._activities.items():
            procedure = self._plain["procedures"][code]
            known = {"code": code, **{k: v for k, v in procedure.items() if k != "name"}}
            yield {
                **self._new.instance(activity, "Activity", known),
                "name": procedure["name"],
                "label": procedure["name"],
                "description": None,
                "previousId": None,
                "nextId": None,
                "childIds": [],
                "definedProcedures": [],
                "biomedicalConceptIds": [],
                "bcCategoryIds": [],
                "bcSurrogateIds": [],
                "timelineId": None,
                "notes": [],
            }

    def _criteria(self) -> Iterator[dict[str, Any]]:
        for number, criterion in enumerate(self._protocol.criteria, 1):
            kind = words.INCLUSION if criterion.kind == "inclusion" else words.EXCLUSION
            known = self._plain["criteria"][number - 1]
            yield {
                **self._new.instance(
                    f"EligibilityCriterion_{number}", "EligibilityCriterion", _beside(known)
                ),
                "name": criterion.id,
                "label": criterion.id,
                "description": None,
                "category": self._new.code(kind),
                "identifier": criterion.id,
                "criterionItemId": f"EligibilityCriterionItem_{number}",
                "nextId": None,
                "previousId": None,
                "notes": [],
            }

    def _items(self) -> Iterator[dict[str, Any]]:
        for number, criterion in enumerate(self._protocol.criteria, 1):
            yield {
                **self._new.instance(
                    f"EligibilityCriterionItem_{number}", "EligibilityCriterionItem"
                ),
                "name": criterion.id,
                "label": None,
                "description": None,
                "text": words.marked_up(criterion.text),
                "dictionaryId": None,
                "notes": [],
            }


def _is_anchor(visit: Visit, anchor: str) -> bool:
    if visit.anchor != anchor or visit.day != 0:
        return False
    return anchor == "screening" or visit.kind == "dosing"


def _beside(criterion: Mapping[str, Any]) -> dict[str, Any]:
    """What USDM has no attribute for; the exact wording where paragraphs would not keep it."""
    text = criterion["text"]
    kept = words.plain_text(words.marked_up(text)) == text
    known = {key: value for key, value in criterion.items() if key not in ("kind", "text")}
    return known if kept else {**known, "text": text}
