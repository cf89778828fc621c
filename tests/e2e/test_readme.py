"""The README's examples run as they stand, against `cairn demo`."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.harness import Server

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's examples use curl")
def test_every_example_of_the_readme_works(tmp_path: Path) -> None:
    blocks = BLOCK.findall(README.read_text(encoding="utf-8"))
    assert len(blocks) >= 3, "the examples were not found"
    server = Server(tmp_path / ".cairn", command="demo")
    server.start()
    try:
        script = "set -euo pipefail\n" + "\n".join(blocks).replace(":8000", f":{server.port}")
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
    finally:
        server.stop()
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    assert '"ana-titre"' in done.stdout
    assert "urn:cairn:problem:refused" in done.stdout, "the decision was not refused"
    assert "urn:cairn:problem:not-found" in done.stdout, "the past was not empty"
    assert "555 0100" not in done.stdout
