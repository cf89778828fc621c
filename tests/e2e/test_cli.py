"""The command line as people use it: processes of their own on a data folder."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.postgres import embedded

STUDY = "LK-23-01"
READY_SECONDS_MAX = 90
END_SECONDS_MAX = 60
COMMAND_SECONDS_MAX = 120


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return {**kept, "COLUMNS": "120", **variables}


@dataclass
class Ran:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Folder:
    """A data folder and what is run on it."""

    data: Path
    process: "subprocess.Popen[str] | None" = None
    address: str = ""
    started: list["subprocess.Popen[str]"] = field(default_factory=list)

    def run(self, *arguments: str, **variables: str) -> Ran:
        """One command, to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env=environment(**variables),
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(self, command: str, port: int | None = None) -> dict[str, Any]:
        """`up` or `demo`, until it says that it is up; what it says."""
        with (self.data.parent / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "services.cli", command, "--json"),
                    *("--port", str(port or free_port()), "--data", str(self.data)),
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment(),
            )
        self.started.append(self.process)
        assert self.process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, (self.data.parent / "server.log").read_text()[-3_000:]
            said += line
        told: dict[str, Any] = json.loads(said)
        self.address = told["address"]
        return told

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.communicate(timeout=END_SECONDS_MAX)
        self.started.remove(self.process)
        return self.process.returncode

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        bearer = token or (self.data / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {bearer}"}
        return httpx.get(f"{self.address}{path}", headers=headers, timeout=10)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    """A running `cairn demo`."""
    folder = Folder(tmp_path_factory.mktemp("demo") / "data")
    try:
        folder.start("demo")
        yield folder
    finally:
        for process in folder.started:
            process.kill()
            process.communicate()


def test_the_demonstration_serves_the_cohort_at_once(demo: Folder) -> None:
    answer = demo.get(f"/v1/studies/{STUDY}/participants?limit=100")
    stages = {item["stage"] for item in answer.json()["items"]}
    assert {"referred", "eligible", "enrolled", "completed", "deceased", "lost"} <= stages
    assert httpx.get(f"{demo.address}/health/ready", timeout=10).status_code == 200
    for view in ("worklist", "safety", "deviations", "enrolment", "schedule", "eligibility"):
        assert demo.get(f"/v1/studies/{STUDY}/{view}").json()["items"], view


def test_the_token_is_its_owners_alone(demo: Folder) -> None:
    assert stat.S_IMODE((demo.data / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(demo.data.stat().st_mode) == 0o700


def test_a_second_server_on_the_folder_is_refused_in_one_line(demo: Folder) -> None:
    refused = demo.run("up", "--port", str(free_port()))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("cairn: the data folder ")
    assert "is in use by process" in refused.err
    assert refused.err.count("\n") == 1


def test_a_port_that_is_taken_is_refused_before_anything_is_made(demo: Folder) -> None:
    other = Folder(demo.data.parent / "other")
    refused = other.run("up", "--port", demo.address.rsplit(":", maxsplit=1)[1])
    assert refused.code == 1
    assert "choose another with --port" in refused.err
    assert not other.data.exists()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"CAIRN_KAFKA_BOOTSTRAP": "127.0.0.1"}, "CAIRN_KAFKA_BOOTSTRAP"),
        ({"CAIRN_KAFKA_PARTITIONS": "4"}, "CAIRN_KAFKA_PARTITIONS"),
        ({"CAIRN_KAFKA_BOOTSTRAP": "a:1", "CAIRN_KAFKA_USERNAME": "x"}, "CAIRN_KAFKA_USERNAME"),
        ({"CAIRN_OIDC_ISSUER": "https://issuer.example"}, "CAIRN_OIDC"),
    ],
)
def test_a_half_configured_start_is_refused(tmp_path: Path, variables: Any, said: str) -> None:
    refused = Folder(tmp_path / "data").run("up", **variables)
    assert refused.code == 1
    assert said in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize("command", [("doctor",), ("replay", f"{STUDY}/01-001"), ("rebuild",)])
def test_without_a_store_a_command_says_where_it_looked(tmp_path: Path, command: Any) -> None:
    refused = Folder(tmp_path / "none").run(*command)
    assert refused.code == 1
    assert "There is no store in" in refused.err
    assert not (tmp_path / "none").exists()


def test_the_doctor_finds_the_store_well(demo: Folder) -> None:
    found = demo.run("doctor", "--json")
    assert found.code == 0
    assert found.json["problems"] == []
    assert [one["study"] for one in found.json["studies"]] == [STUDY]


def test_a_rebuild_finds_the_rows_as_they_were_kept(demo: Folder) -> None:
    found = demo.run("rebuild", "--json")
    assert found.code == 0, found.err
    assert {one["view"] for one in found.json} >= {"eligibility", "schedule", "safety"}
    assert all(one["same"] for one in found.json)
    unknown = demo.run("rebuild", "nothing")
    assert (unknown.code, unknown.out) == (1, "")


def test_a_replay_tells_the_story_and_each_version(demo: Folder) -> None:
    story = demo.run("replay", f"{STUDY}/01-001").out.splitlines()
    assert "referred" in story[0]
    assert "completed" in story[-1]
    text = demo.run("replay", f"{STUDY}/01-001", "--at", "1").out
    assert text.startswith(f"{STUDY} / 01-001, version 1: referred\n")
    by_time = demo.run("replay", f"{STUDY}/01-001", "--at", "2019-01-01")
    assert (by_time.code, by_time.err) == (
        1,
        "cairn: there is no such version: nothing was recorded by then\n",
    )
    version = len(story)
    served = demo.get(f"/v1/studies/{STUDY}/participants/01-001/replay?version={version}")
    told = demo.run("replay", f"{STUDY}/01-001", "--at", str(version), "--json")
    assert told.json == served.json()


def test_a_token_of_a_role_opens_what_the_role_may_see(demo: Folder) -> None:
    made = demo.run("token", "--role", "monitor", "--study", STUDY, "--site", "02")
    token = made.out.strip()
    assert made.out == token + "\n", "the token alone"
    items = demo.get(f"/v1/studies/{STUDY}/participants?limit=100", token).json()["items"]
    assert {item["site"] for item in items} == {"02"}
    assert demo.run("token", "--role", "king").code == 1


def test_lines_are_imported_beside_the_running_server_and_again_change_nothing(
    demo: Folder, tmp_path: Path
) -> None:
    file = tmp_path / "events.ndjson"
    data = {"site": "01", "channel": "registry"}
    lines = [
        {
            "id": "1",
            "participant": "N1",
            "type": "referred",
            "occurred_at": "2026-11",
            "data": data,
        },
        {"id": "2", "participant": "N2", "type": "referred", "occurred_at": "2026-11", "data": {}},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ("import", "ndjson", str(file), "--study", STUDY, "--json")
    dry = demo.run(*arguments, "--dry-run").json
    assert (dry["recorded"], dry["dry_run"]) == ({"referred": 1}, True)
    assert demo.get(f"/v1/studies/{STUDY}/participants/N1").status_code == 404
    first = demo.run(*arguments).json
    assert (first["recorded"], first["already_recorded"]) == ({"referred": 1}, {})
    assert [one["line"] for one in first["rejected"]] == [2]
    position = json.loads(demo.run("export", "ndjson", "--study", STUDY).out.splitlines()[-1])
    path = f"/v1/studies/{STUDY}/participants/N1?wait_for={position['position']}"
    assert demo.get(path).json()["stage"] == "referred"
    again = demo.run(*arguments, "--dry-run").json
    assert (again["recorded"], again["already_recorded"]) == ({}, {"referred": 1})


def test_an_export_is_the_ledger_line_by_line(demo: Folder) -> None:
    lines = demo.run("export", "ndjson", "--study", STUDY).out.splitlines()
    events = [json.loads(line) for line in lines]
    assert [event["position"] for event in events] == list(range(1, len(events) + 1))
    served = demo.get(f"/v1/studies/{STUDY}/log?limit=3").json()["items"]
    assert events[:3] == served
    after = demo.run("export", "ndjson", "--study", STUDY, "--after", str(len(events) - 2))
    assert after.out.splitlines() == lines[-2:]
    assert demo.run("export", "ndjson", "--study", "NONE").err == "cairn: there is no such study\n"


DM = "USUBJID,SUBJID,SITEID,BRTHDTC,SEX,DMDTC\nA-1,1,9,1950-02,F,2013-12-26\nA-2,2,9,NA,M,NA\n"
SV = "USUBJID,VISIT,VISITNUM,SVSTDTC\nA-1,V0,1,2013-12-27\nA-1,V5,5,2014-02\nA-1,X,8,NA\n"


def test_datasets_are_imported_into_a_study_of_their_own(demo: Folder, tmp_path: Path) -> None:
    (tmp_path / "dm.csv").write_text(DM)
    (tmp_path / "sv.csv").write_text(SV)
    protocol = tmp_path / "protocol.yaml"
    protocol.write_text(
        "study: OLD-1\nversion: '1'\ntitle: An old study\nvisits:\n"
        "  - {code: V0, name: Screening, kind: screening, anchor: screening, day: 0}\n"
        "  - {code: V1, name: Baseline, kind: dosing, day: 0}\n"
        "  - {code: V5, name: Follow-up, day: 30, windowed: false}\n"
    )
    arguments = ("import", "sdtm", str(tmp_path), "--study", "OLD-1", "--protocol", str(protocol))
    dry = demo.run(*arguments, "--json", "--dry-run")
    assert dry.code == 0, dry.err
    assert demo.run("export", "ndjson", "--study", "OLD-1").code == 1, "nothing was written"
    first = demo.run(*arguments, "--json").json
    assert (
        first["recorded"]
        == dry.json["recorded"]
        == {
            "demographics-recorded": 1,
            "referred": 1,
            "screening-started": 1,
            "site-opened": 1,
            "visit-completed": 2,
        }
    )
    assert first["left_out"] == [
        {"domain": "DM", "reason": "no-date-at-all", "rows": 1},
        {"domain": "SV", "reason": "no-date", "rows": 1},
    ]
    exported = demo.run("export", "ndjson", "--study", "OLD-1").out
    again = demo.run(*arguments, "--json").json
    assert (again["recorded"], again["already_recorded"]) == ({}, first["recorded"])
    assert demo.run("export", "ndjson", "--study", "OLD-1").out == exported
    shown = demo.run(*arguments)
    assert "0 rejected." in shown.out
    (tmp_path / "sv.csv").write_text(SV.replace("2014-02", "2014-03"))
    edited = demo.run(*arguments, "--json").json
    assert edited["recorded"] == {"corrected": 1}
    changed = {"participant": "A-1", "event": "SV:A-1:5", "fields": ["occurred_at"]}
    assert edited["corrected"] == [{"domain": "SV", "row": 2, **changed}]
    assert demo.run(*arguments, "--json").json["recorded"] == {}


def test_whoever_stops_reading_is_no_trouble(demo: Folder) -> None:
    export = f"{sys.executable} -m services.cli export ndjson --study {STUDY}"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{export} --data '{demo.data}' | head -n 1"],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
        env=environment(),
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_ends_in_order_and_a_second_start_adds_nobody(demo: Folder) -> None:
    before = demo.run("export", "ndjson", "--study", STUDY).out
    assert demo.end(signal.SIGINT) == 0
    assert embedded.running(demo.data) is None
    assert not list(demo.data.glob("postgres/postmaster.pid"))
    begun = time.monotonic()
    told = demo.start("demo")
    assert time.monotonic() - begun < READY_SECONDS_MAX
    assert told["process"] == demo.process.pid  # type: ignore[union-attr]
    assert demo.run("export", "ndjson", "--study", STUDY).out == before
    assert demo.end(signal.SIGTERM) == 0
    # Without a server the command starts the folder's own store for its own time.
    assert demo.run("export", "ndjson", "--study", STUDY).out == before
    assert embedded.running(demo.data) is None
