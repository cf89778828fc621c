"""The JSON Schemas of all event versions ever written: `schemas.json`, which is only ever added to.

python -m tests.golden.schemas   adds the versions that are not in it yet
"""

import json
from pathlib import Path
from typing import Any

from domain import catalogue
from domain.kernel import Event

GOLDEN = Path(__file__).with_name("schemas.json")
SAYS_NOTHING = ("description", "title")
"""Words for people; no reader of an event rests on them."""

Schemas = dict[str, Any]


def landed() -> Schemas:
    """By topic, as they were when they landed."""
    found: Schemas = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def of(cls: type[Event]) -> Any:
    """What the class accepts, and nothing else."""
    return _bare(cls.model_json_schema())


def todays() -> Schemas:
    """By topic, as the classes have them."""
    families = (("participant", catalogue.PARTICIPANT), ("study", catalogue.STUDY))
    return {
        f"{family}.{name}.v{cls.schema_version}": of(cls)
        for family, types in families
        for name, cls in types.items()
    }


def _bare(schema: Any) -> Any:
    match schema:
        case dict():
            # A property may be named like a keyword: only the keyword has text for its value.
            return {
                name: _bare(part)
                for name, part in schema.items()
                if not (name in SAYS_NOTHING and isinstance(part, str))
            }
        case list():
            return [_bare(part) for part in schema]
        case _:
            return schema


def main() -> None:
    """Add what is new; never change what has landed."""
    known = landed() if GOLDEN.exists() else {}
    whole = {**todays(), **known}
    GOLDEN.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
