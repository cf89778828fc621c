"""The criteria of a USDM document as texts, with the tags in them resolved."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from domain.trial.usdm.document import Criterion, CriterionItem, Design, Version
from domain.trial.usdm.words import INCLUSION, plain_text, slug

_TAG = re.compile(r"<usdm:tag\s+name=\"([^\"]{1,200})\"\s*(?:/>|>\s*</usdm:tag>)")
_REFERENCE = re.compile(r"\bid=\"([^\"]{1,200})\"[^>]*\battribute=\"([^\"]{1,200})\"")
_UNRESOLVED = "[{tag}]"


def criteria_of(version: Version, design: Design, document: object) -> list[dict[str, Any]]:
    """The criteria in their order, each with its wording; a rule only where Cairn wrote one.

    A criterion whose wording is missing keeps an empty text, which the protocol then refuses.
    """
    items = {item.id: item for item in version.items}
    maps = {
        (one.id, entry.tag): entry.reference for one in version.dictionaries for entry in one.maps
    }
    texts = _referenced(document, maps.values())
    return [_criterion(one, items.get(one.item_id), maps, texts) for one in design.criteria]


def _criterion(
    criterion: Criterion,
    item: CriterionItem | None,
    maps: Mapping[tuple[str, str], str],
    texts: Mapping[str, str],
) -> dict[str, Any]:
    def resolved(tag: re.Match[str]) -> str:
        reference = maps.get(((item and item.dictionary_id) or "", tag[1]))
        return texts.get(reference or "", _UNRESOLVED.format(tag=tag[1]))

    known = criterion.known()
    text = plain_text(_TAG.sub(resolved, item.text)) if item is not None else ""
    exact = known.pop("text", text)
    return {
        "id": slug(criterion.name).upper(),
        "kind": "inclusion" if criterion.category.code == INCLUSION[0] else "exclusion",
        **known,
        "text": exact if isinstance(exact, str) and exact.split() == text.split() else text,
    }


def _referenced(document: object, references: Any) -> dict[str, str]:
    """Reference -> the text of the attribute that it points to, where there is one."""
    wanted: dict[str, dict[str, str]] = {}
    for reference in references:
        found = _REFERENCE.search(reference)
        if found is not None:
            wanted.setdefault(found[1], {})[found[2]] = reference
    return {
        reference: _as_text(instance[attribute])
        for instance in _instances(document)
        for attribute, reference in wanted.get(str(instance.get("id")), {}).items()
        if instance.get(attribute) is not None
    }


def _instances(document: object) -> Iterator[Mapping[str, Any]]:
    waiting = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _as_text(value: object) -> str:
    text = str(value)
    whole = text.removesuffix(".0")
    return whole if whole.isdecimal() else text
