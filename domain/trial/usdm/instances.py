"""Instances of USDM classes as plain objects, each with an identifier of its own."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from domain.trial.usdm.words import EXTENSION, TERMINOLOGY, TERMINOLOGY_VERSION


class Instances:
    """Makes the instances of one document; identifiers count up within their class."""

    def __init__(self) -> None:
        self._made: Counter[str] = Counter()

    def identifier(self, kind: str) -> str:
        """The next identifier of a class."""
        self._made[kind] += 1
        return f"{kind}_{self._made[kind]}"

    def instance(
        self, identifier: str, kind: str, known: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The attributes that every class has; `known` is what only Cairn has a place for."""
        beside = self.extension(known) if known else []
        return {"id": identifier, "extensionAttributes": beside, "instanceType": kind}

    def named(self, identifier: str, kind: str, name: str) -> dict[str, Any]:
        """An instance of a class whose instances have names."""
        described = {"name": name, "label": name, "description": None}
        return {**self.instance(identifier, kind), **described}

    def code(self, term: tuple[str, str]) -> dict[str, Any]:
        """A term of CDISC's terminology."""
        return {
            **self.instance(self.identifier("Code"), "Code"),
            "code": term[0],
            "codeSystem": TERMINOLOGY,
            "codeSystemVersion": TERMINOLOGY_VERSION,
            "decode": term[1],
        }

    def extension(self, value: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The extension attribute that carries what only Cairn knows."""
        return [
            {
                **self.instance(self.identifier("ExtensionAttribute"), "ExtensionAttribute"),
                "url": EXTENSION,
                "valueString": json.dumps(value, sort_keys=True, ensure_ascii=False),
            }
        ]
