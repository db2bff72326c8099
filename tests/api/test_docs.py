"""docs/api.md names what there is."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from api.app import create_app
from api.flows.publishing import FlowInvalidError
from core.settings import Settings, environment_name
from temporal.refusals import REFUSALS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_refusal_is_documented() -> None:
    kinds = {error.slug for error in REFUSALS.values() if error.status < 500} | {FlowInvalidError.slug}
    core = {"too-large"}
    assert {kind for kind in kinds - core if f"`{kind}`" not in PAGE} == set()


def test_settings_that_are_named_exist() -> None:
    known = {environment_name(name) for name in Settings.model_fields}
    named = {word.strip("`|.,; ()") for word in PAGE.split() if word.lstrip("`(").startswith("VERSAAI_")}
    assert named
    assert named <= known


def test_every_kind_of_path_is_named() -> None:
    document = create_app(Settings(secret_key=SecretStr("x" * 40))).openapi()
    for path in document["paths"]:
        area = path.removeprefix("/api/v1").split("/")[1]
        assert f"/{area}" in PAGE or f"{area}/" in PAGE, path
