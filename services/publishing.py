"""Publishing: a protocol document, in whatever form, becomes an immutable version of a study.

The document is read, checked whole and kept under its SHA-256 before the event that names it is
recorded. The first version registers the study.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from domain.canonical import address, canonical
from domain.kernel import Decision, Problem, Proposed
from domain.time import When
from domain.trial.events import ProtocolPublished, StudyRegistered
from domain.trial.overlay import merged
from domain.trial.protocol import Protocol
from domain.trial.reading import plain, read
from domain.trial.study import Trial
from domain.trial.usdm import exported, imported
from infra.documents import Documents
from infra.ledger.types import StoreAway
from infra.protocol_files import DOCUMENT_BYTES_MAX, Format, Unreadable, built_in, write
from infra.protocol_files import read as read_text
from services.door import Invalid, Malformed, TooLarge, UnknownContent
from services.record import Recording, Terms
from services.state import NotFound

Rendering = Literal["json", "yaml", "usdm"]

CONTENT_TYPES: Mapping[str, Format] = MappingProxyType(
    {
        "application/json": "json",
        "application/yaml": "yaml",
        "application/x-yaml": "yaml",
        "text/yaml": "yaml",
    }
)
"""Accepted content type -> how the text is read. USDM is JSON and known by its `usdmVersion`."""

BUILT_IN = "LK-23-01"
FACTS_FILE = "lk-23-01.yaml"
ASSUMPTIONS_FILE = "lk-23-01.assumptions.yaml"
ATTEMPTS_MAX = 16


class VersionPublished(Exception):
    """The version is published with other content; a published version never changes."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A protocol that was read and is whole, and what of its document it does not hold."""

    protocol: Protocol
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A published version and its address."""

    study: str
    version: str
    sha256: str
    position: int
    """Where in the study's ledger it was published."""
    recorded_at: str
    """RFC 3339, UTC."""
    created: bool = False
    """False: the same content was published before."""
    left_out: tuple[str, ...] = ()

    def as_item(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "study": self.study,
            "version": self.version,
            "sha256": self.sha256,
            "position": self.position,
            "recorded_at": self.recorded_at,
        }


def draft(
    body: bytes, content_type: str, *, study: str | None = None, version: str | None = None
) -> Draft:
    """Read a protocol document and check it whole, without publishing it.

    Raises UnknownContent, TooLarge, Malformed (not readable) and Invalid (every problem with it).
    """
    form = CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())
    if form is None:
        raise UnknownContent(tuple(CONTENT_TYPES))
    if len(body) > DOCUMENT_BYTES_MAX:
        raise TooLarge(DOCUMENT_BYTES_MAX)
    try:
        document = read_text(body, form)
    except Unreadable as error:
        raise Malformed("document", error.detail) from None
    return draft_in(document, study=study, version=version)


def draft_in(document: object, *, study: str | None = None, version: str | None = None) -> Draft:
    """The protocol in a document that was read as plain objects, whole. Raises Invalid."""
    if isinstance(document, Mapping) and "usdmVersion" in document:
        found = imported(document, study=study, version=version)
        if isinstance(found, list):
            raise Invalid(found)
        return Draft(found.protocol, found.left_out)
    return Draft(_whole(read(document, study=study, version=version)))


def built_in_protocol() -> Protocol:
    """LK-23-01: its public facts with the assumptions laid over them."""
    facts, overlay = built_in(FACTS_FILE), built_in(ASSUMPTIONS_FILE)
    assert isinstance(facts, Mapping)
    assert isinstance(overlay, Mapping)
    whole = merged(facts, overlay)
    return _whole(whole if isinstance(whole, list) else read(whole))


def rendered(protocol: Protocol, form: Rendering) -> bytes:
    """The protocol as JSON, YAML or USDM 4.0 JSON; reading it again gives an equal protocol."""
    if form == "usdm":
        return write(exported(protocol), "json")
    return write(plain(protocol), form)


def _whole(found: Protocol | list[Problem]) -> Protocol:
    if isinstance(found, list):
        raise Invalid(found)
    return found


class Publishing:
    """Publishes protocol versions and reads them back."""

    def __init__(self, recording: Recording, documents: Documents) -> None:
        self._recording = recording
        self._documents = documents

    async def publish(
        self, study: str, version: str, body: bytes, content_type: str, terms: Terms
    ) -> Published:
        """Publish a document as a version of the study; the first registers the study.

        Raises what `draft` raises, VersionPublished, StoreAway and StoreFull.
        """
        found = await asyncio.to_thread(draft, body, content_type, study=study, version=version)
        return await self.publish_protocol(found, terms)

    async def publish_built_in(self, terms: Terms) -> Published:
        """Publish LK-23-01, or find it published.

        A study that was registered under an earlier edition of the built-in file keeps that
        edition: a published version never changes.
        """
        protocol = await asyncio.to_thread(built_in_protocol)
        try:
            return await self.publish_protocol(Draft(protocol), terms)
        except VersionPublished:
            return self.published(protocol.study, protocol.version)

    async def publish_protocol(self, found: Draft, terms: Terms) -> Published:
        """Publish what was read. Raises VersionPublished, StoreAway, StoreFull."""
        protocol = found.protocol
        content = canonical(plain(protocol))
        sha256 = address(content)
        for _ in range(ATTEMPTS_MAX):
            trial = await asyncio.to_thread(self._recording.hot.trial_or_blank, protocol.study)
            standing = trial.protocols.get(protocol.version)
            if standing is not None:
                if standing != protocol:
                    raise VersionPublished
                return _published(trial, protocol.version, left_out=found.left_out)
            # Kept before it is named: after a crash here nothing refers to the document, and
            # publishing again finds it.
            await asyncio.to_thread(self._documents.put, protocol.study, sha256, content)
            proposals = self._proposals(trial, protocol, sha256, terms)
            done = await self._recording.publish(protocol.study, proposals, trial.version)
            if done is not None:
                now = await asyncio.to_thread(self._recording.hot.trial, protocol.study)
                return _published(now, protocol.version, created=True, left_out=found.left_out)
        raise StoreAway("the study is written to by too many at once")

    def published(self, study: str, version: str) -> Published:
        """A published version's address; NotFound."""
        return _published(self._recording.hot.trial(study), version)

    def versions(self, study: str) -> list[Published]:
        """Every published version in the order of publication; NotFound when there is no study."""
        trial = self._recording.hot.trial(study)
        return [_published(trial, version) for version in trial.published]

    def protocol(self, study: str, version: str) -> Protocol:
        """A published version; NotFound."""
        found = self._recording.hot.trial(study).protocols.get(version)
        if found is None:
            raise NotFound("protocol")
        return found

    def read(self, study: str, version: str, form: Rendering) -> bytes:
        """A published version as JSON, YAML or USDM; NotFound."""
        return rendered(self.protocol(study, version), form)

    def _proposals(
        self, trial: Trial, protocol: Protocol, sha256: str, terms: Terms
    ) -> list[Proposed]:
        bodies: list[Decision] = []
        if trial.registered is None:
            bodies.append(
                StudyRegistered(
                    study=protocol.study, title=protocol.title, registry=protocol.registry
                )
            )
        bodies.append(ProtocolPublished(version=protocol.version, sha256=sha256))
        now = self._recording.clock()
        return [Proposed(body, When.at(now), terms.actor, now) for body in bodies]


def _published(
    trial: Trial, version: str, *, created: bool = False, left_out: tuple[str, ...] = ()
) -> Published:
    noted = trial.published.get(version)
    if noted is None:
        raise NotFound("protocol")
    at = noted.recorded.recorded_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return Published(trial.study, version, noted.body.sha256, noted.position, at, created, left_out)
