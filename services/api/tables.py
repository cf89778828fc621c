"""CSV: the items of a list as a table that a spreadsheet opens and that cannot act as a formula."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

_ACTIVE = ("=", "+", "-", "@", "\t", "\r")


def table(items: Iterable[Mapping[str, Any]], columns: Sequence[str] = ()) -> bytes:
    """The items as CSV (RFC 4180, UTF-8): nested members as dotted columns, lists as JSON.

    `columns` come first, whether or not an item has them. Text that a spreadsheet would take for a
    formula gets an apostrophe in front; numbers do not.
    """
    rows = [dict(_flat("", item)) for item in items]
    columns = list(dict.fromkeys((*columns, *(name for row in rows for name in row))))
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return out.getvalue().encode()


def _flat(prefix: str, item: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield prefix + name, value


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case str():
            return f"'{value}" if value.startswith(_ACTIVE) else value
        case _:
            return orjson.dumps(value).decode()
