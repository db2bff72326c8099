"""The JavaScript engine: what scripts get, what they return, and what stops them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.script import LONGEST_RESULT, ScriptEngine, ScriptError


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[ScriptEngine]:
    engine = ScriptEngine(processes=1)
    await engine.warm()
    yield engine
    await engine.close()


async def run(
    engine: ScriptEngine, code: str, *, seconds: float = 2, megabytes: int = 16, **variables: Any
) -> Any:
    answer = await engine.run(code, variables, timeout_seconds=seconds, memory_megabytes=megabytes)
    return answer.value


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("return 1 + 2", 3),
        ("return variables.items.map(item => item.price * item.count).reduce((a, b) => a + b, 0)", 35),
        ("const all = {};\nfor (const item of variables.items) all[item.name] = item.count;\nreturn all",
         {"té": 2, "pan": 3}),
        ("return", None),
        ("return undefined", None),
        ("// nothing but a comment", None),
        ("return [1, undefined, NaN, 'ñ', '\\u2028']", [1, None, None, "ñ", "\u2028"]),
        ("return JSON.stringify({a: 1})", '{"a":1}'),
        ("return new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("return eval('6 * 7')", 42),
        ("return '{}'.length + '${1}'.length", 6),
    ],
)  # fmt: skip
async def test_a_script_returns_json(engine: ScriptEngine, code: str, expected: Any) -> None:
    items = [{"name": "té", "price": 10, "count": 2}, {"name": "pan", "price": 5, "count": 3}]
    assert await run(engine, code, items=items) == expected


@pytest.mark.parametrize(
    "name",
    ["require", "process", "fetch", "XMLHttpRequest", "WebSocket", "std", "os", "print", "setTimeout",
     "WebAssembly", "Deno", "Bun", "globalThis.open", "load"],
)  # fmt: skip
async def test_a_script_has_no_way_out(engine: ScriptEngine, name: str) -> None:
    assert await run(engine, f"return typeof {name}") == "undefined"


async def test_a_script_can_not_import(engine: ScriptEngine) -> None:
    with pytest.raises(ScriptError):
        await run(engine, "return import('fs')")
    with pytest.raises(ScriptError):
        await run(engine, "import fs from 'fs'; return 1")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("\n\n  missing;", "line 3: ReferenceError: missing is not defined"),
        ("\n\nreturn missing.field", "failed: ReferenceError: missing is not defined"),
        ("let a = 1;\nlet a = 2;", "line 2: SyntaxError"),
        ("throw new Error('no stock')", "Error: no stock"),
        ("throw 'just text'", "just text"),
        ("const a = []; a.push(a); return a", "circular"),
        ("return 10n", "BigInt"),
        ("return (async () => 1)()", "can't wait"),
        ("await 1", "SyntaxError"),
        ("function f() { return f() + 1 } return f()", "too deeply"),
        ("return '{'.repeat(10) + 'x'.repeat(300000)", "larger than"),
        ("let deep = []; for (let i = 0; i < 500; i++) deep = [deep]; return deep", "levels deep"),
        ("}", "SyntaxError"),
    ],
)  # fmt: skip
async def test_a_failing_script_says_why(engine: ScriptEngine, code: str, said: str) -> None:
    with pytest.raises(ScriptError) as caught:
        await run(engine, code)
    assert said in caught.value.detail


@pytest.mark.parametrize(
    "code",
    [
        "while (true) {}",
        "for (;;) { try { while (true) {} } catch (error) {} }",
        "return /(a+)+$/.test('a'.repeat(40) + 'b')",
        "return new Array(2 ** 32 - 1).indexOf(5)",
        "return (7n ** 350000n).toString().length",
    ],
)
async def test_an_endless_script_is_stopped(engine: ScriptEngine, code: str) -> None:
    with pytest.raises(ScriptError, match=r"ran longer than 0\.3 s"):
        await run(engine, code, seconds=0.3)
    assert await run(engine, "return 1") == 1


@pytest.mark.parametrize(
    "code",
    [
        "const a = []; while (true) a.push(new Array(1000).fill(1))",
        "const a = []; while (true) a.push({x: 1})",
        "const a = []; while (true) a.push('x'.repeat(10000) + a.length)",
        "const a = []; while (true) a.push(new Uint8Array(1000000))",
        "return 'x'.repeat(2 ** 29).length",
    ],
)
async def test_a_greedy_script_is_stopped(engine: ScriptEngine, code: str) -> None:
    with pytest.raises(ScriptError, match="more than 16 MB"):
        await run(engine, code, seconds=20)
    assert await run(engine, "return 1") == 1


async def test_memory_within_the_limit_is_given(engine: ScriptEngine) -> None:
    assert await run(engine, "return new Uint8Array(12 * 1024 * 1024).length") == 12 * 1024 * 1024


async def test_a_result_up_to_the_limit_passes(engine: ScriptEngine) -> None:
    text = await run(engine, f"return 'x'.repeat({LONGEST_RESULT - 2})")
    assert len(text) == LONGEST_RESULT - 2
    with pytest.raises(ScriptError, match="larger than"):
        await run(engine, f"return 'x'.repeat({LONGEST_RESULT - 1})")


async def test_runs_share_nothing(engine: ScriptEngine) -> None:
    await run(engine, "globalThis.left = 1; Array.prototype.map = () => 'broken'; JSON.stringify = () => '0'")
    assert await run(engine, "return [typeof left, [1].map(x => x + 1)]") == ["undefined", [2]]


async def test_results_hold_nothing_that_storage_refuses(engine: ScriptEngine) -> None:
    assert await run(engine, "return 'a\\u0000b\\ud800c'") == "a\ufffdb\ufffdc"


async def test_a_script_can_not_speak_in_the_process_name(engine: ScriptEngine) -> None:
    forged = "return JSON.stringify({value: '1', milliseconds: 0}) + '\\n'"
    assert await run(engine, forged) == '{"value":"1","milliseconds":0}\n'


async def test_waiting_scripts_do_not_count_the_wait(engine: ScriptEngine) -> None:
    slow = "const end = Date.now() + 200; while (Date.now() < end) {} return 1"
    assert await asyncio.gather(*(run(engine, slow, seconds=0.4) for _ in range(4))) == [1, 1, 1, 1]
