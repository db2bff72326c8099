"""Trimming a conversation to a model's window."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.agent import assistant_message, refused_call, tool_error_message, tool_result_message
from llm.errors import ContextTooLong
from llm.memory import count_message, estimate_tokens, trim_messages
from llm.protocol import ChatMessage, ModelResult, ToolCall, Usage


def say(role: str, content: str = "x") -> ChatMessage:
    return ChatMessage.model_validate({"role": role, "content": content})


def call(*ids: str, content: str = "") -> ChatMessage:
    calls = [ToolCall(id=call_id, name="tool") for call_id in ids]
    return ChatMessage(role="assistant", content=content, tool_calls=calls)


def result(call_id: str, content: str = "r") -> ChatMessage:
    return ChatMessage(role="tool", content=content, tool_call_id=call_id)


def one_each(_message: ChatMessage) -> int:
    return 1


def trim(messages: list[ChatMessage], window: int, **options: bool) -> list[str]:
    kept = trim_messages(messages, window_tokens=window, reserve_tokens=0, count=one_each, **options)
    return [message.content or "call" for message in kept]


TALK = [
    say("system", "s"), say("assistant", "a0"), say("user", "u1"), say("assistant", "a1"),
    say("user", "u2"), say("assistant", "a2"), say("user", "u3"),
]  # fmt: skip


def test_the_newest_turns_stay_in_order() -> None:
    assert trim(TALK, 100) == ["s", "a0", "u1", "a1", "u2", "a2", "u3"]
    assert trim(TALK, 4) == ["s", "u2", "a2", "u3"]
    assert trim(TALK, 2) == ["s", "u3"]


def test_the_first_question_may_be_pinned() -> None:
    assert trim(TALK, 4, keep_first_user=True) == ["s", "u1", "a2", "u3"]


def test_the_reserve_is_left_free() -> None:
    kept = trim_messages(TALK, window_tokens=6, reserve_tokens=4, count=one_each)
    assert [message.content for message in kept] == ["s", "u3"]


def test_what_can_never_fit_is_said() -> None:
    with pytest.raises(ContextTooLong):
        trim(TALK, 1)


def test_a_call_and_its_results_stay_or_go_together() -> None:
    talk = [say("user", "u1"), call("1", "2"), result("2", "r2"), result("1", "r1"), say("assistant", "a"),
            say("user", "u2")]  # fmt: skip
    assert trim(talk, 5) == ["call", "r1", "r2", "a", "u2"]
    assert trim(talk, 4) == ["a", "u2"]


def test_the_question_outlives_the_tools_of_its_own_turn() -> None:
    talk = [say("user", "old"), say("user", "u"), call("1"), result("1", "r1"), call("2"), result("2", "r2")]
    assert trim(talk, 3) == ["u", "call", "r2"]


def test_halves_of_calls_are_dropped() -> None:
    talk = [result("9", "orphan"), say("user", "u"), call("1", content="let me look"), say("user", "v"),
            call("2"), say("user", "w")]  # fmt: skip
    kept = trim_messages(talk, window_tokens=100, reserve_tokens=0, count=one_each)
    assert [message.content for message in kept] == ["u", "let me look", "v", "w"]
    assert not any(message.tool_calls for message in kept)


messages = st.lists(
    st.one_of(
        st.sampled_from([say("user"), say("assistant"), say("system")]).map(lambda message: [message]),
        st.integers(1, 3).map(
            lambda count: [call(*map(str, range(count))), *(result(str(index)) for index in range(count))]
        ),
        st.just([call("lost")]),
        st.just([result("lost")]),
    ),
    max_size=12,
).map(lambda groups: [message for group in groups for message in group])


@given(messages, st.integers(0, 20))
def test_whatever_is_kept_fits_keeps_its_order_and_is_well_formed(
    talk: list[ChatMessage], window: int
) -> None:
    try:
        kept = trim_messages(talk, window_tokens=window, reserve_tokens=0, count=one_each)
    except ContextTooLong:
        assert sum(message.role == "system" for message in talk) + 1 > window
        return
    assert len(kept) <= window
    systems = [message for message in talk if message.role == "system"]
    assert [message for message in kept if message.role == "system"] == systems
    assert any(message.role == "user" for message in kept) == any(message.role == "user" for message in talk)
    waiting: list[str] = []
    for message in kept:
        if message.role == "tool":
            assert message.tool_call_id in waiting
            waiting.remove(str(message.tool_call_id))
        else:
            assert not waiting
            waiting = [tool_call.id for tool_call in message.tool_calls]
    assert not waiting


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        # By hand: tokenizers spend at least one token a word and one a punctuation mark.
        ("Hola, ¿en qué puedo ayudarte hoy?", 10),
        ("The quick brown fox jumps over the lazy dog.", 10),
    ],
)
def test_the_estimate_errs_to_the_high_side(text: str, counted: int) -> None:
    assert counted <= estimate_tokens(text) <= 2 * counted


def test_scripts_without_spaces_and_emoji_count_by_character() -> None:
    assert estimate_tokens("你好世界") == 4
    assert estimate_tokens("🙂" * 5) == 5
    assert estimate_tokens("") == 0


@given(st.text(), st.text())
def test_more_text_never_counts_less(left: str, right: str) -> None:
    assert estimate_tokens(left + right) >= max(estimate_tokens(left), estimate_tokens(right)) - 1


def test_tool_calls_count() -> None:
    bare = count_message(ChatMessage(role="assistant"))
    loaded = ChatMessage(
        role="assistant", tool_calls=[ToolCall(id="1", name="a", arguments={"q": "x" * 350})]
    )
    assert count_message(loaded) > bare + 100


def test_results_of_tools_become_messages() -> None:
    asked = ToolCall(id="c1", name="order")
    answer = ModelResult(
        model="m",
        provider="p",
        text="looking",
        tool_calls=[asked],
        finish_reason="tool_calls",
        usage=Usage(),
        latency_ms=1,
    )
    assert assistant_message(answer).tool_calls == [asked]
    told = tool_result_message(asked, {"estado": "enviado", "ñ": 1})
    assert (told.role, told.tool_call_id, told.content) == ("tool", "c1", '{"estado": "enviado", "ñ": 1}')
    assert tool_result_message(asked, "plain").content == "plain"
    long = tool_result_message(asked, "y" * 500, max_characters=100).content
    assert len(long) == 100
    assert long.endswith("[cut: the result was longer]")
    assert "down" in tool_error_message(asked, "down").content


def test_calls_that_must_not_run_are_answered() -> None:
    assert refused_call(ToolCall(id="1", name="a"), {"a"}) is None
    unknown = refused_call(ToolCall(id="1", name="b"), {"a"})
    assert unknown is not None
    assert "no tool named b" in unknown.content
    broken = refused_call(ToolCall(id="1", name="a", invalid_arguments="{"), {"a"})
    assert broken is not None
    assert broken.tool_call_id == "1"
