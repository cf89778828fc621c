"""Digests of replays of the old ledger, printed: what two processes must agree on.

python -m tests.golden.replayed
"""

import gzip
import hashlib
import json
from pathlib import Path

from domain.canonical import canonical
from infra.documents import MemoryDocuments
from infra.ledger.memory import MemoryLedger
from infra.ledger.types import STUDY_STREAM, Append, Draft
from services.replay import replay, replay_all
from services.replay_text import story, text
from services.state import HotState

GOLDEN = Path(__file__).with_name("ledger-1.ndjson.gz")
STUDY = "LK-23-01"
SOME = ("01-001", "01-080", "01-900", "01-902")


def remembered() -> HotState:
    """The old ledger in memory, byte by byte."""
    ledger, documents = MemoryLedger(), MemoryDocuments()
    drafts = []
    for line in map(json.loads, gzip.decompress(GOLDEN.read_bytes()).splitlines()):
        if "document" in line:
            documents.put(STUDY, line["document"], line["body"].encode())
            continue
        one = json.loads(line["envelope"])
        stream = one["participant"] or STUDY_STREAM
        drafts.append(Draft(stream, one["version"], line["topic"], line["envelope"].encode()))
    ledger.append_now(STUDY, Append(tuple(drafts)))
    return HotState(ledger, documents)


def main() -> None:
    """A line for each participant: the digest over every version, as JSON and as text."""
    hot = remembered()
    for name in SOME:
        found = hashlib.sha256()
        replays = list(replay_all(hot, STUDY, name))
        for one in replays:
            found.update(canonical(one.document()))
            found.update(text(one).encode())
        found.update("\n".join(story(replays)).encode())
        last = replay(hot, STUDY, name, len(replays))
        assert canonical(last.document()) == canonical(replays[-1].document())
        print(name, len(replays), found.hexdigest())


if __name__ == "__main__":
    main()
