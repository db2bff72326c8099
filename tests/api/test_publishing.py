"""What publishing finds beyond the document: templates, models, the bot's other flows and its own defaults."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from llm.registry import ProviderRegistry
from tests.api.dialogue import flow, node

START = node("start", "start")


def saying(text: Any) -> dict[str, Any]:
    return flow([START, node("a", "message", text=text)], [("start", "next", "a")])


def asking(**ai: Any) -> dict[str, Any]:
    one = node("a", "ai", task={"kind": "reply"}, **ai)
    return flow([START, one], [("start", "next", "a")])


async def made(team: httpx2.AsyncClient, **fields: Any) -> str:
    answer = await team.post("/api/v1/chatbots", json={"name": f"Bot {uuid4().hex[:8]}", **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def published(team: httpx2.AsyncClient, bot: str, document: Any, name: str = "main") -> tuple[int, Any]:
    answer = await team.post(f"/api/v1/chatbots/{bot}/versions", json={"flow": document, "flow_name": name})
    body = answer.json()
    found = body.get("findings") or body.get("warnings") or []
    ordinary = {"dangling-exit", "unused-variable"}
    return answer.status_code, [item for item in found if item["code"] not in ordinary]


@pytest.mark.parametrize(
    "text", ["x {{ 1 + }}", "{{ nothing() }}", "{{ open", {"es": "Hola", "en": "Hi {{ 1 + }}"}]
)
async def test_a_template_with_a_bad_formula_is_refused(team: httpx2.AsyncClient, text: Any) -> None:
    answer = await team.put("/api/v1/response-templates/mala", json={"text": text})
    assert answer.status_code == 422
    assert "formula that can't be read" in answer.json()["detail"]
    assert answer.json()["errors"][0]["language"] == ("en" if isinstance(text, dict) else None)


async def test_the_texts_of_templates_are_judged_where_they_stand(team: httpx2.AsyncClient) -> None:
    answer = await team.put(
        "/api/v1/response-templates/saludo", json={"text": {"es": "Hola {{ visitor.name }} {{ topik }}"}}
    )
    assert answer.status_code == 204
    status, findings = await published(team, await made(team), saying({"template": "saludo"}))
    assert status == 422
    assert [(item["code"], item["path"]) for item in findings] == [("unknown-variable", "/nodes/1/data/text")]
    assert "response template `saludo`" in findings[0]["message"]


async def test_a_variable_that_only_a_template_reads_is_used(team: httpx2.AsyncClient) -> None:
    await team.put("/api/v1/response-templates/tema", json={"text": "Sobre {{ topic }}"})
    document = {**saying({"template": "tema"}), "variables": [{"name": "topic"}]}
    answer = await team.post("/api/v1/flows/validate", json={"flow": document})
    assert "unused-variable" not in {item["code"] for item in answer.json()["findings"]}


@pytest.mark.parametrize(
    ("model", "status", "codes"),
    [
        ("nope/x", 422, ["unknown-model"]),
        ("builtin/other", 422, ["unknown-model"]),
        ("openai/gpt-4o", 201, ["unconfigured-model"]),
        ("openai/gpt-4o-with-a-key", 201, []),
        ("builtin/answerer", 201, []),
    ],
)
async def test_models_are_known_and_set_up(
    team: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, model: str, status: int, codes: list[str]
) -> None:
    usable = ProviderRegistry.is_usable
    monkeypatch.setattr(
        ProviderRegistry, "is_usable", lambda self, name: "with-a-key" in name or usable(self, name)
    )
    answer, findings = await published(team, await made(team), asking(model=model))
    assert (answer, [item["code"] for item in findings]) == (status, codes)


async def test_the_bots_own_defaults_are_judged_where_they_are_used(
    team: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's name is from before names were checked when a bot is made."""
    monkeypatch.setattr("api.chatbots.schemas.known_model", lambda name: name)
    bot = await made(team, ai_model="nope/x", system_prompt="Ayuda a {{ customer }}. {{ 1 + }}")
    status, findings = await published(team, bot, asking())
    assert status == 422
    assert {item["code"] for item in findings} == {"unknown-model", "bad-expression"}
    assert all("the bot's own settings" in item["message"] for item in findings)
    assert await published(team, bot, saying("hola"), "other") == (201, [])


async def test_a_flow_says_whose_values_it_no_longer_takes(team: httpx2.AsyncClient) -> None:
    bot = await made(team)
    sub = {
        **saying("{{ customer }}"),
        "variables": [{"name": "customer", "input": True}, {"name": "score", "output": True}],
    }
    assert (await published(team, bot, sub, "survey")) == (201, [])
    run = {
        "kind": "run_flow", "flow": "survey", "inputs": {"customer": "'Ana'"}, "outputs": {"score": "points"},
    }  # fmt: skip
    main = {
        **flow([START, node("ask", "action", action=run)], [("start", "next", "ask")]),
        "variables": [{"name": "points"}],
    }
    assert (await published(team, bot, main)) == (201, [])
    status, findings = await published(team, bot, saying("nada"), "survey")
    assert status == 201
    assert [item["code"] for item in findings] == ["broken-caller"] * 2
    assert all("`main`" in item["message"] for item in findings)
