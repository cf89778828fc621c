"""A USDM 4.0 document as a protocol: its encounters with days and windows, its criteria as texts.

What Cairn does not model is left out and listed. A study from elsewhere gets no gates: its doses
need no authorisation and may be many, and its criteria are judged by people.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from domain.kernel import Problem
from domain.trial.overlay import escaped
from domain.trial.protocol import Protocol
from domain.trial.reading import read, shape_rule
from domain.trial.usdm.document import Definition, Design, Encounter, Timeline, Version
from domain.trial.usdm.leftovers import left_out
from domain.trial.usdm.timing import Placed, placed
from domain.trial.usdm.wording import criteria_of
from domain.trial.usdm.words import contact_name, mode_of, slug, visit_code

DESIGN = "/study/versions/0/studyDesigns/0"
TIMELINES = f"{DESIGN}/scheduleTimelines"
_EARLY_TERMINATION = "early termination"
_UNSCHEDULED = {"code": "UNS", "name": "Unscheduled visit", "kind": "unscheduled"}


@dataclass(frozen=True, slots=True)
class Imported:
    """The protocol that a document describes, and what of the document it does not hold."""

    protocol: Protocol
    left_out: tuple[str, ...]


def imported(
    document: object, *, study: str | None = None, version: str | None = None
) -> Imported | list[Problem]:
    """Read a USDM document; every problem is listed with its place in that document.

    `study` and `version` are the address it is published under: a document from elsewhere takes
    them as they are, one that Cairn wrote must agree with them.
    """
    try:
        definition = Definition.model_validate(document)
    except ValidationError as error:
        return [
            Problem("".join(f"/{escaped(str(t))}" for t in one["loc"]), shape_rule(one["type"]))
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    assert isinstance(document, Mapping)
    drawn = _Drawn(document, definition)
    whole = drawn.protocol()
    if not drawn.version.known():
        whole |= {"study": study or whole["study"], "version": version or whole["version"]}
    found = read(whole, study=study, version=version)
    if isinstance(found, Protocol) and not drawn.problems:
        return Imported(found, left_out(document, definition, found))
    wrong = [] if isinstance(found, Protocol) else found
    return drawn.problems + [Problem(drawn.origin(one.pointer), one.rule) for one in wrong]


@dataclass(slots=True)
class _Drawn:
    """The protocol's plain objects as they are drawn from a document."""

    document: Mapping[str, Any]
    definition: Definition
    problems: list[Problem] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    """Where in the document each visit comes from."""

    @property
    def version(self) -> Version:
        """The version that is read: the first, as USDM lists the current one."""
        return self.definition.study.versions[0]

    @property
    def design(self) -> Design:
        """The design that is read: the first."""
        return self.version.designs[0]

    def protocol(self) -> dict[str, Any]:
        """All that the document says of a protocol."""
        known = self.version.known()
        visits = self._visits()
        return {
            "study": slug(self._identifier()).upper(),
            **({} if known else self._without_gates(visits)),
            **known,
            "version": self.version.identifier,
            "title": self._title(),
            **self._registry(),
            "procedures": self._procedures(),
            "visits": visits,
            "criteria": criteria_of(self.version, self.design, self.document),
        }

    def origin(self, pointer: str) -> str:
        """Where in the document a place of the protocol comes from."""
        head, *rest = pointer.split("/")[1:]
        if head == "visits" and rest and rest[0].isdecimal() and int(rest[0]) < len(self.places):
            return self.places[int(rest[0])]
        if head == "criteria" and rest:
            return f"{DESIGN}/eligibilityCriteria/{rest[0]}"
        return "/study/versions/0"

    def _title(self) -> str:
        official = [one for one in self.version.titles if one.type.decode.startswith("Official")]
        titles = official or list(self.version.titles)
        return titles[0].text if titles else self.definition.study.name

    def _identifier(self) -> str:
        texts = [one.text for one in self.version.identifiers]
        return texts[0] if texts else self.definition.study.name

    def _registry(self) -> dict[str, str]:
        texts = [one.text for one in self.version.identifiers]
        found = [text for text in texts if text.startswith("NCT") and text[3:].isdecimal()]
        return {"registry": found[0]} if found else {}

    def _without_gates(self, visits: list[dict[str, Any]]) -> dict[str, Any]:
        """A dose that needs no authorisation: no gate is known of a study from elsewhere."""
        dosing = [visit["code"] for visit in visits if visit.get("kind") == "dosing"]
        products = [one.label or one.name for one in self.version.interventions]
        # With several arms the product depends on the arm, which is not modelled: one name for all
        # would make a deviation of every dose of the others.
        one_for_all = len(products) == 1 and len(self.design.arms) <= 1
        dose = {
            "authorisation": False,
            "single": False,
            **({"visit": dosing[0]} if dosing else {}),
            **({"product": products[0]} if one_for_all else {}),
        }
        return {"dose": dose, "settings": {"day_numbering": "day-1"}}

    def _procedures(self) -> dict[str, Any]:
        used = {
            activity
            for timeline in self.design.timelines
            if timeline.main or self._is_early_termination(timeline)
            for instance in timeline.instances
            for activity in instance.activity_ids
        }
        whole = bool(self.version.known())
        codes = self._codes()
        return {
            codes[one.id]: {
                **{key: value for key, value in one.known().items() if key != "code"},
                "name": one.label or one.name,
            }
            for one in self.design.activities
            if whole or one.id in used
        }

    def _codes(self) -> dict[str, str]:
        """Activity -> the code of its procedure, unique."""
        codes: dict[str, str] = {}
        for index, one in enumerate(self.design.activities):
            code = str(one.known().get("code") or slug(one.name))
            codes[one.id] = f"{code}-{index + 1}" if code in codes.values() else code
        return codes

    # --- visits -----------------------------------------------------------------------------------

    def _visits(self) -> list[dict[str, Any]]:
        drawn: list[tuple[int, dict[str, Any], str]] = []
        mains = [index for index, one in enumerate(self.design.timelines) if one.main]
        if len(mains) != 1:
            self.problems.append(Problem(TIMELINES, "not-one-main-timeline"))
            return []
        drawn.extend(self._planned(mains[0]))
        drawn.extend(self._unplanned())
        drawn.sort(key=lambda one: one[0])
        kinds = {visit.get("kind") for _, visit, _ in drawn}
        if "unscheduled" not in kinds and not self.version.known():
            drawn.append((len(drawn), dict(_UNSCHEDULED), TIMELINES))
        self.places = [place for _, _, place in drawn]
        return [visit for _, visit, _ in drawn]

    def _planned(self, at: int) -> Iterator[tuple[int, dict[str, Any], str]]:
        timeline, place = self.design.timelines[at], f"{TIMELINES}/{at}"
        nodes: list[Placed] = []
        for one in placed(timeline, place):
            if isinstance(one, Problem):
                self.problems.append(one)
            elif one.instance.encounter_id is not None:
                nodes.append(one)
        order = {encounter.id: index for index, encounter in enumerate(self.design.encounters)}
        seen: set[str] = set()
        for node in nodes:
            encounter_id = node.instance.encounter_id or ""
            where = f"{place}/instances/{node.index}"
            if encounter_id not in order:
                self.problems.append(Problem(f"{where}/encounterId", "dangling-encounter"))
                continue
            encounter = self.design.encounters[order[encounter_id]]
            visit = _visit(encounter, node, again=encounter_id in seen, last=node is nodes[-1])
            visit["procedures"] = self._done(node.instance.activity_ids)
            seen.add(encounter_id)
            yield order[encounter_id], visit, where

    def _unplanned(self) -> Iterator[tuple[int, dict[str, Any], str]]:
        """Visits without a day: the early-termination timeline, and those that Cairn wrote."""
        encounters = {one.id: (index, one) for index, one in enumerate(self.design.encounters)}
        for index, timeline in enumerate(self.design.timelines):
            if timeline.main:
                continue
            place = f"{TIMELINES}/{index}"
            for at, instance in enumerate(timeline.instances):
                done = {"procedures": self._done(instance.activity_ids)}
                where = f"{place}/instances/{at}"
                found = encounters.get(instance.encounter_id or "")
                if found is not None and found[1].known():
                    visit = {"name": found[1].label, **_modes(found[1]), **found[1].known()}
                    yield found[0], {**visit, **done}, where
                elif self._is_early_termination(timeline):
                    name = instance.label or timeline.name
                    kind = {"code": "ET", "name": name, "kind": "early-termination"}
                    yield len(encounters), {**kind, **done}, where

    @staticmethod
    def _is_early_termination(timeline: Timeline) -> bool:
        return _EARLY_TERMINATION in timeline.name.lower()

    def _done(self, activity_ids: tuple[str, ...]) -> list[str]:
        codes = self._codes()
        return [codes.get(one, one) for one in activity_ids]


def _modes(encounter: Encounter) -> dict[str, Any]:
    modes = [mode_of(term.code) for term in encounter.contact_modes]
    return {"mode": modes[0]} if len(modes) == 1 and modes[0] else {}


def _visit(encounter: Encounter, node: Placed, *, again: bool, last: bool) -> dict[str, Any]:
    """One planned visit. A node that returns to an encounter is a contact of its own, in the
    encounter's other mode: a telephone call between two visits to the clinic."""
    modes = [mode for mode in (mode_of(one.code) for one in encounter.contact_modes) if mode]
    several = len(modes) > 1
    mode = modes[-1] if again and several else modes[0] if modes else None
    name = encounter.label or encounter.name
    if again:
        name = contact_name(node.day, mode)
    kind = "follow-up"
    if node.fixed and node.anchor == "dose":
        kind = "dosing"
    elif node.day < 0:
        kind = "screening"
    elif last:
        kind = "end"
    known = {} if again else encounter.known()
    return {
        "code": visit_code(name),
        "kind": kind,
        **({"mode": mode} if mode else {}),
        **known,
        "name": name,
        "anchor": node.anchor,
        "day": node.day,
        "before": node.before,
        "after": node.after,
        "windowed": known.get("windowed", True) if node.fixed else node.windowed,
    }
