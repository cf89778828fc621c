"""What of a USDM document a protocol of Cairn does not hold, said in words."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from domain.trial.protocol import Protocol
from domain.trial.usdm.document import Definition, Design
from domain.trial.usdm.words import days_of

_VERSION: Mapping[str, str] = MappingProxyType(
    {
        "administrableProducts": "administrable products",
        "amendments": "amendments (each version is published on its own)",
        "bcSurrogates": "biomedical concept surrogates",
        "biomedicalConcepts": "biomedical concepts",
        "conditions": "conditions of activities",
        "medicalDevices": "medical devices",
        "narrativeContentItems": "sections of narrative",
        "roles": "study roles",
    }
)
_DESIGN: Mapping[str, str] = MappingProxyType(
    {
        "analysisPopulations": "analysis populations",
        "arms": "arms",
        "elements": "elements",
        "epochs": "epochs",
        "estimands": "estimands",
        "indications": "indications",
        "objectives": "objectives with their endpoints",
        "studyCells": "study cells",
    }
)


def left_out(
    document: Mapping[str, Any], definition: Definition, protocol: Protocol
) -> tuple[str, ...]:
    """One line for each kind of thing that was left out, judged otherwise, or rounded."""
    version = document["study"]["versions"][0]
    raw = version["studyDesigns"][0]
    design = definition.study.versions[0].designs[0]
    return (
        *_others("version", len(definition.study.versions)),
        *_others("study design", len(definition.study.versions[0].designs)),
        *_counted(version, _VERSION),
        *_counted(raw, _DESIGN),
        *_timelines(design, protocol),
        *_nodes(design),
        *_planned(raw, protocol),
        *_texts(protocol),
    )


def _others(what: str, count: int) -> Iterator[str]:
    if count > 1:
        yield f"{count - 1} further {what}(s): only the first is read"


def _counted(instance: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    for attribute, label in names.items():
        found = instance.get(attribute)
        if isinstance(found, list) and found:
            yield f"{len(found)} {label}"


def _timelines(design: Design, protocol: Protocol) -> Iterator[str]:
    kinds = {visit.kind for visit in protocol.visits}
    known = {one.id for one in design.encounters if one.known()}
    for timeline in design.timelines:
        early = "early termination" in timeline.name.lower() and "early-termination" in kinds
        ours = {node.encounter_id for node in timeline.instances} & known
        if not timeline.main and not early and not ours:
            yield f"the timeline `{timeline.name}`"


def _nodes(design: Design) -> Iterator[str]:
    main = next(timeline for timeline in design.timelines if timeline.main)
    timed = {timing.from_id for timing in main.timings}
    others = [
        node
        for node in main.instances
        if not node.known() and (node.encounter_id is None or node.id not in timed)
    ]
    if others:
        yield f"{len(others)} node(s) of the main timeline without an encounter or a timing"
    parts = [
        stated
        for timing in main.timings
        for stated in (timing.lower, timing.upper)
        if stated and days_of(stated, outward=True) != days_of(stated, outward=False)
    ]
    if parts:
        yield f"{len(parts)} window limit(s) in parts of a day: rounded outward to whole days"
    unstated = [timing for timing in main.timings if timing.lower is None and timing.upper is None]
    if len(unstated) > 1:
        yield (f"{len(unstated) - 1} visit(s) without a stated window: never counted early or late")


def _planned(design: Mapping[str, Any], protocol: Protocol) -> Iterator[str]:
    population = design.get("population") or {}
    if protocol.accrual is None and population.get("plannedEnrollmentNumber"):
        yield "the planned enrolment: a plan, not a limit"


def _texts(protocol: Protocol) -> Iterator[str]:
    texts = [one for one in protocol.criteria if one.rule is None]
    if texts:
        yield f"the logic of {len(texts)} criteria: they are texts, which people judge"
