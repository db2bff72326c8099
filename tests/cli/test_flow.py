"""`versaai flow`: what it prints and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.flow import app
from flow_schema.export import flow_schema_json, flow_typescript
from flow_schema.validation import read_flow
from tests.flow_schema.good_flow import edge, good_flow, node, survey


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "main.json").write_text(json.dumps(good_flow()))
    (tmp_path / "survey.json").write_text(json.dumps(survey()))
    return tmp_path


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)


def save(folder: Path, document: dict[str, Any], name: str = "changed.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_good_flows_pass(folder: Path) -> None:
    result = run("validate", folder / "main.json", folder / "survey.json")
    assert result.exit_code == 0
    assert result.stdout.count("✓") == 2


def test_errors_fail_and_say_what_to_do(folder: Path) -> None:
    document = good_flow()
    node(document, "hello")["data"]["text"] = "[red] {{ nobody }}"
    result = run("validate", save(folder, document))
    assert result.exit_code == 1
    assert "`nobody` is neither a declared variable" in result.stdout
    assert "unknown-variable" in result.stdout
    assert "/nodes/1/data/text" in result.stdout
    assert "Declare the variable" in result.stdout


def test_findings_are_counted_in_words(folder: Path) -> None:
    readme = folder / "README.md"
    readme.write_text("# no flow")
    assert "README.md: 1 error, 0 warnings" in run("validate", readme).stdout.replace("\n", "")


def test_an_outline_is_never_cut(folder: Path) -> None:
    document = good_flow()
    label = "A long name " * 9
    node(document, "hello")["data"]["label"] = label.strip()
    result = run("show", save(folder, document))
    (line,) = [one for one in result.stdout.splitlines() if " hello " in one]
    assert label.strip() in line
    assert line.endswith(" message")
    assert all(one == one.rstrip() for one in result.stdout.splitlines())


def test_warnings_pass_unless_strict(folder: Path) -> None:
    document = good_flow()
    document["variables"].append({"name": "spare"})
    path = save(folder, document)
    assert run("validate", path).exit_code == 0
    assert "unused-variable" in run("validate", path).stdout
    assert run("validate", "--strict", path).exit_code == 1


def test_several_files_are_the_flows_of_one_bot(folder: Path) -> None:
    document = good_flow()
    node(document, "sub")["data"]["action"]["flow"] = "missing"
    path = save(folder, document)
    assert run("validate", path).exit_code == 0
    result = run("validate", path, folder / "survey.json")
    assert result.exit_code == 1
    assert "unknown-flow" in result.stdout


def test_findings_as_json(folder: Path) -> None:
    document = good_flow()
    node(document, "mail")["data"].pop("save_to")
    path = save(folder, document)
    result = run("validate", "--json", path, folder / "survey.json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report[str(folder / "survey.json")] == []
    (item,) = report[str(path)]
    assert (item["code"], item["node_id"], item["path"]) == ("missing-field", "mail", "/nodes/3/data/save_to")


@pytest.mark.parametrize("command", ["validate", "show", "export"])
def test_files_that_are_not_there(folder: Path, command: str) -> None:
    result = run(command, folder / "nothing.json")
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def test_documents_that_are_no_flow(folder: Path) -> None:
    path = folder / "bad.json"
    path.write_bytes(b"\xff")
    assert run("validate", path).exit_code == 1
    result = run("show", path)
    assert result.exit_code == 1
    assert "not UTF-8" in result.stderr


def test_the_outline_shows_every_node_once_and_the_ways_between(folder: Path) -> None:
    result = run("show", folder / "main.json")
    assert result.exit_code == 0
    lines = [line.strip("│├└─ ") for line in result.stdout.splitlines()]
    for item in good_flow()["nodes"]:
        assert sum(line.split(" ")[:2] == [item["id"], item["type"]] for line in lines) == 1, item["id"]
    assert lines.index("option:order") < lines.index("mail input email") < lines.index("option:person")
    assert "↑ human" in lines
    assert "email: string (personal)" in result.stdout


def test_the_outline_of_a_long_flow_and_of_unconnected_nodes(folder: Path) -> None:
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "start"}]
    nodes += [{"id": f"n{n}", "type": "message", "data": {"text": "1"}} for n in range(1_999)]
    edges = [{"id": f"e{n}", "source": nodes[n]["id"], "target": nodes[n + 1]["id"]} for n in range(1_990)]
    result = run("show", save(folder, {"name": "long", "nodes": nodes, "edges": edges}))
    assert result.exit_code == 0
    assert result.stdout.count("not led to by an edge") == 9


def test_a_diff_names_what_changed(folder: Path) -> None:
    document = good_flow()
    node(document, "hello")["data"]["text"]["es"] = "Buenas"
    node(document, "mail")["position"] = {"x": 1, "y": 2}
    edge(document, "e19")["target"] = "ask"
    path = save(folder, document)
    result = run("diff", folder / "main.json", path)
    assert result.exit_code == 0
    assert '/data/text/es: "Hola {{ visitor.name }}" → "Buenas"' in result.stdout
    assert "node mail is drawn elsewhere" in result.stdout
    assert "- edge rate [next] → bye" in result.stdout
    assert "+ edge rate [next] → ask" in result.stdout
    assert run("diff", path, path).stdout.strip() == "no differences"
    found = json.loads(run("diff", "--json", folder / "main.json", path).stdout)
    assert found["nodes_moved"] == ["mail"]


def test_export_gives_the_same_flow_in_the_current_version(folder: Path) -> None:
    old = {**good_flow(), "schema_version": 0}
    first = run("export", save(folder, old))
    assert first.exit_code == 0
    assert read_flow(first.stdout)[0] == read_flow(good_flow())[0]
    assert json.loads(first.stdout)["schema_version"] == 1
    again = run("export", "-", stdin=first.stdout)
    assert again.stdout == first.stdout


def test_export_of_what_describes_flows() -> None:
    assert run("export", "--schema").stdout == flow_schema_json()
    assert run("export", "--typescript").stdout == flow_typescript()
    assert run("export").exit_code == 2
    assert run("export", "--schema", "--typescript").exit_code == 2
