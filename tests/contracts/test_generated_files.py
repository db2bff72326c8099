"""The files under generated/ and the reference of the flow language are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_schema.export import FILES, differences, main, write

ROOT = Path(__file__).parents[2]


def test_generated_files_are_up_to_date() -> None:
    found = differences(ROOT)
    assert not found, f"run `make generate`:\n{found[:2_000]}"


def test_checking_notices_a_file_that_drifted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sorted(write(tmp_path)) == sorted(FILES)
    assert write(tmp_path) == []
    assert main(["--check", "--root", str(tmp_path)]) == 0
    path = tmp_path / "generated/flow.d.ts"
    path.write_text(path.read_text().replace("export interface Flow {", "export interface Flaw {"))
    capsys.readouterr()
    assert main(["--check", "--root", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "-export interface Flaw {" in shown
    assert "+export interface Flow {" in shown
    (tmp_path / "generated/turns.d.ts").unlink()
    assert main(["--root", str(tmp_path)]) == 0
    assert main(["--check", "--root", str(tmp_path)]) == 0
