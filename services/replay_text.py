"""The replay as text: for reading in a terminal, and for the file of an inspection."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from services.replay import Change, Replay
from services.replay_check import Checked, Finding

SHOWN_CHARACTERS_MAX = 160
"""Longer values are cut in the text; the JSON has them whole."""


def text(one: Replay) -> str:
    """One version: the event, what it changed, and why."""
    return "\n".join((*_event(one), *_changes(one.changes), *_why(one))) + "\n"


def story(replays: Iterable[Replay]) -> Iterator[str]:
    """A whole history, a line a version."""
    for one in replays:
        event, state = one.event, one.state
        rule = one.why["rule"]
        words = [
            f"{event['version']:>5}",
            f"{event['recorded_at'][:19]}Z",
            f"{event['kind']:<10}",
            f"{state['stage']:<14}",
            event["type"],
        ]
        if rule is not None and rule != event["type"]:
            words.append(f"({rule})")
        if event["kind"] != "conclusion":
            words.append(f"on {event['occurred_at']} by {event['actor']['id']}")
        yield "  ".join(words)


def in_a_line(finding: Finding) -> str:
    """A finding of the replay check: where, what, and both readings."""
    where = finding.participant or "the study's stream"
    words = f"position {finding.position}, {where}: {finding.what}: {finding.type}"
    if finding.rule != finding.type:
        words += f" ({finding.rule})"
    if finding.protocol is not None:
        words += f", protocol {finding.protocol}"
    if finding.fields:
        words += f", in {', '.join(finding.fields)}"
    sides = (("the log says", finding.recorded), ("computed now", finding.computed))
    told = [f"\n  {who}: {_shown(side)}" for who, side in sides if side is not None]
    return words + "".join(told)


def in_a_sentence(checked: Checked) -> str:
    """What a replay check looked at, and how many things differ."""
    found = f"{checked.differences} differ" if checked.differences else "nothing differs"
    return (
        f"{checked.study}, up to position {checked.position}: {checked.events} events and"
        f" {checked.conclusions} conclusions of {checked.participants} participants: {found}"
    )


def _event(one: Replay) -> Iterator[str]:
    event = one.event
    actor = event["actor"]
    yield f"{one.study} / {event['participant']}, version {event['version']}: {event['type']}"
    yield ""
    yield f"  position     {event['position']}"
    yield f"  occurred     {event['occurred_at']}"
    yield f"  recorded     {event['recorded_at']}"
    if event.get("recorded_at_source") is not None:
        yield f"  at source    {event['recorded_at_source']}"
    yield f"  kind         {event['kind']}"
    yield f"  by           {actor['id']} ({actor['role']})"
    if event["id"] is not None:
        yield f"  source, id   {event['source']}, {event['id']}"
    if event["reason"] is not None:
        yield f"  reason       {event['reason']}"
    yield f"  protocol     {event['protocol']}"
    yield f"  stage        {_was(one, 'stage')}"
    yield f"  data         {_shown(event['data'])}"
    yield f"  hash         {event['hash']}"
    yield f"  after        {event['previous']}"


def _was(one: Replay, name: str) -> str:
    before, after = (one.before or {}).get(name), one.state[name]
    return str(after) if before in (None, after) else f"{before} -> {after}"


def _changes(changes: tuple[Change, ...]) -> Iterator[str]:
    yield ""
    yield "Changed"
    if not changes:
        yield "  nothing"
    for change in changes:
        if change.before is None:
            yield f"  + {change.path}  {_shown(change.after)}"
        elif change.after is None:
            yield f"  - {change.path}  {_shown(change.before)}"
        else:
            yield f"  ~ {change.path}  {_shown(change.before)} -> {_shown(change.after)}"


def _why(one: Replay) -> Iterator[str]:
    why = one.why
    yield ""
    yield "Why"
    if why["rule"] is None:
        act = "decided by" if why["kind"] == "decision" else "reported by"
        yield f"  {act:<12} {why['by']['id']} ({why['by']['role']})"
    else:
        yield f"  rule         {why['rule']}"
    if why["explanation"] is not None:
        yield f"  because      {why['explanation']}"
    if why["cause"] is not None:
        yield f"  led to by    position {why['cause']}"
    for cited in why["evidence"]:
        yield f"  rests on     {_cited(cited)}"
    for window in why["windows"]:
        yield f"  window       {_window(window)}"
    if why["signature"] is not None:
        yield f"  signed       {_signed(why['signature'])}"
    if why["corrects"] is not None:
        yield from _corrected(why["corrects"])
    for cited in why["followed_by"]:
        yield f"  followed by  {_cited(cited)}"


def _window(window: dict[str, Any]) -> str:
    days = f"{window['first'] or 'any day'} to {window['last'] or 'any day'}"
    on = f" ({window['on']})" if window["on"] is not None else ""
    return f"{window['anchor']}{on}: {days}"


def _signed(signature: dict[str, Any]) -> str:
    what = signature["binds"]
    if what == "history":
        what = f"{signature['meaning']} of versions 1 to {signature['up_to_version']}"
    there = "which is what is there" if signature["holds"] else "WHICH IS NOT WHAT IS THERE"
    return f"{what}, bound by {signature['hash']}, {there}"


def _corrected(corrects: dict[str, Any]) -> Iterator[str]:
    yield f"  about        {_cited(corrects)}"
    yield f"  recorded     {_shown(corrects['recorded'])}"
    for name in ("said", "says"):
        reads = corrects[name]
        shown = "nothing: it does not count" if reads is None else _shown(reads)
        yield f"  {name:<12} {shown}"


def _cited(cited: dict[str, Any]) -> str:
    if "type" not in cited:
        return f"position {cited['position']} (of the study or another participant)"
    line = f"position {cited['position']}, version {cited['version']}: {cited['type']}"
    return f"{line} ({cited['rule']})" if cited.get("rule") else line


def _shown(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    fits = len(shown) <= SHOWN_CHARACTERS_MAX
    return shown if fits else shown[: SHOWN_CHARACTERS_MAX - 3] + "..."
