"""The part of a USDM 4.0 document that Cairn reads; other classes and attributes are passed by."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from domain.trial.usdm.words import EXTENSION

PARTS_MAX = 2_000
TEXT_MAX = 200_000

Label = Annotated[str, Field(max_length=TEXT_MAX)]


class Part(BaseModel):
    """An instance of a USDM class, with the attributes that are read here."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ExtensionAttribute(Part):
    """A value that USDM has no attribute for."""

    url: str
    value_string: Annotated[str | None, Field(alias="valueString")] = None


class Extensible(Part):
    """An instance with an identifier that may carry extension attributes."""

    id: str
    extensions: Annotated[
        tuple[ExtensionAttribute, ...], Field(alias="extensionAttributes", max_length=PARTS_MAX)
    ] = ()

    def known(self) -> dict[str, Any]:
        """What Cairn wrote beside the native attributes; empty when another system wrote it."""
        return known_of(self.extensions)


def known_of(extensions: Sequence[ExtensionAttribute]) -> dict[str, Any]:
    """The value of Cairn's own extension attribute, if it is there and can be read."""
    for one in extensions:
        if one.url == EXTENSION and one.value_string is not None:
            try:
                found = json.loads(one.value_string)
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


class Coded(Part):
    """A term of a terminology."""

    code: str
    decode: str = ""


class Title(Part):
    """A title of the study, of some type."""

    text: Label
    type: Coded


class Identifier(Part):
    """An identifier that an organisation gave to the study."""

    text: Label


class Encounter(Extensible):
    """A contact with the participant."""

    name: Label
    label: Label | None = None
    contact_modes: Annotated[tuple[Coded, ...], Field(alias="contactModes")] = ()


class Activity(Extensible):
    """Something done at an encounter."""

    name: Label
    label: Label | None = None


class Instance(Extensible):
    """A node of a timeline."""

    name: Label
    label: Label | None = None
    encounter_id: Annotated[str | None, Field(alias="encounterId")] = None
    activity_ids: Annotated[tuple[str, ...], Field(alias="activityIds", max_length=PARTS_MAX)] = ()


class Timing(Extensible):
    """How far one node lies from another, and the window around it."""

    name: Label
    type: Coded
    value: str
    relative: Annotated[Coded | None, Field(alias="relativeToFrom")] = None
    from_id: Annotated[str, Field(alias="relativeFromScheduledInstanceId")]
    to_id: Annotated[str | None, Field(alias="relativeToScheduledInstanceId")] = None
    lower: Annotated[str | None, Field(alias="windowLower")] = None
    upper: Annotated[str | None, Field(alias="windowUpper")] = None


class Timeline(Extensible):
    """A timeline of the design; one of them is the main one."""

    name: Label
    main: Annotated[bool, Field(alias="mainTimeline")]
    instances: Annotated[tuple[Instance, ...], Field(max_length=PARTS_MAX)] = ()
    timings: Annotated[tuple[Timing, ...], Field(max_length=PARTS_MAX)] = ()


class Criterion(Extensible):
    """An eligibility criterion, with its wording by reference."""

    name: Label
    category: Coded
    item_id: Annotated[str, Field(alias="criterionItemId")]


class CriterionItem(Extensible):
    """The wording of a criterion, with tags."""

    text: Label
    dictionary_id: Annotated[str | None, Field(alias="dictionaryId")] = None


class ParameterMap(Part):
    """What a tag in a wording stands for."""

    tag: str
    reference: Label


class Dictionary(Extensible):
    """Tags of wordings and what they stand for."""

    maps: Annotated[tuple[ParameterMap, ...], Field(alias="parameterMaps")] = ()


class Intervention(Extensible):
    """A product under study."""

    name: Label
    label: Label | None = None


class Arm(Part):
    """An arm of the design; only how many there are is of use."""


class Design(Extensible):
    """A design of the study."""

    arms: Annotated[tuple[Arm, ...], Field(max_length=PARTS_MAX)] = ()
    encounters: Annotated[tuple[Encounter, ...], Field(max_length=PARTS_MAX)] = ()
    activities: Annotated[tuple[Activity, ...], Field(max_length=PARTS_MAX)] = ()
    timelines: Annotated[
        tuple[Timeline, ...], Field(alias="scheduleTimelines", max_length=PARTS_MAX)
    ] = ()
    criteria: Annotated[
        tuple[Criterion, ...], Field(alias="eligibilityCriteria", max_length=PARTS_MAX)
    ] = ()


class Version(Extensible):
    """A version of the study definition."""

    identifier: Annotated[str, Field(alias="versionIdentifier")]
    titles: tuple[Title, ...] = ()
    identifiers: Annotated[tuple[Identifier, ...], Field(alias="studyIdentifiers")] = ()
    designs: Annotated[tuple[Design, ...], Field(alias="studyDesigns", min_length=1)]
    items: Annotated[
        tuple[CriterionItem, ...], Field(alias="eligibilityCriterionItems", max_length=PARTS_MAX)
    ] = ()
    dictionaries: tuple[Dictionary, ...] = ()
    interventions: Annotated[tuple[Intervention, ...], Field(alias="studyInterventions")] = ()


class Study(Part):
    """The study."""

    name: Label
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]


class Definition(Part):
    """A whole USDM document."""

    study: Study
    usdm_version: Annotated[str, Field(alias="usdmVersion", pattern=r"^4\.")]
