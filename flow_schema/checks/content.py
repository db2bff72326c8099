"""What nodes hold beyond names: comparisons, types of what is saved, defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flow_schema.checks.subject import Subject
from flow_schema.checks.values import bad_pattern
from flow_schema.findings import Finding, finding
from flow_schema.flow import MAIN_FLOW, FlowSettings, VariableType
from flow_schema.nodes.action import ActionNode, AskSatisfaction, SetLanguage
from flow_schema.nodes.ai import AiNode, ClassifyTask, ExtractedField, ExtractTask
from flow_schema.nodes.condition import ConditionNode, Rule, RuleGroup, RulesTest
from flow_schema.nodes.input import (
    ConsentField,
    DateField,
    DateRangeField,
    FileField,
    InputNode,
    NumberField,
    RatingField,
    SignatureField,
    TextField,
)
from flow_schema.nodes.question import QuestionNode
from flow_schema.variables import CoercionError, coerce

_FIELD_TYPES: Final[dict[type, tuple[VariableType, ...]]] = {
    NumberField: ("number", "string"),
    RatingField: ("number", "string"),
    DateField: ("date", "datetime", "string"),
    DateRangeField: ("object",),
    FileField: ("list",),
    SignatureField: ("list", "object"),
    ConsentField: ("boolean", "string"),
}
"""What variables hold the value of an input's field; fields that are not named give texts."""
_EXTRACTED_TYPES: Final[dict[str, tuple[VariableType, ...]]] = {
    "string": ("string",),
    "number": ("number", "string"),
    "integer": ("number", "string"),
    "boolean": ("boolean", "string"),
    "date": ("date", "datetime", "string"),
}


def check_content(subject: Subject) -> Iterator[Finding]:
    """Comparisons, types and defaults."""
    for index, node in enumerate(subject.flow.nodes):
        data = f"/nodes/{index}/data"
        match node:
            case QuestionNode():
                yield from _question(subject, node, data)
            case InputNode():
                yield from _input(subject, node, data)
            case ConditionNode():
                for place, branch in enumerate(node.data.branches):
                    if isinstance(branch.test, RulesTest):
                        yield from _rules(branch.test, f"{data}/branches/{place}/test", node.id)
            case AiNode():
                yield from _saved_by_model(subject, node, data)
            case ActionNode():
                yield from _action(subject, node, data)
            case _:
                pass
    yield from _main_settings(subject)
    yield from _defaults(subject)


def _question(subject: Subject, node: QuestionNode, data: str) -> Iterator[Finding]:
    if node.data.save_to is not None and node.data.multiple:
        yield from _type(subject, node.data.save_to, ("list",), "several answers are a list", data, node.id)
    elif node.data.save_to is not None:
        yield from _saved_answers(subject, node, node.data.save_to, data)


def _saved_answers(subject: Subject, node: QuestionNode, name: str, data: str) -> Iterator[Finding]:
    """Options whose values the variable can't hold, each of which would leave the conversation stuck; and
    typed answers that it may not hold."""
    kind = subject.types.get(name)
    if kind is None or kind == "string":
        return
    for place, option in enumerate(node.data.options):
        value = option.value if option.value is not None else option.id
        try:
            coerce(value, kind)
        except CoercionError as error:
            yield finding(
                "bad-option-value",
                f"the option saves `{value[:40]}` in `{name}`, which is {_article(kind)}: {error}",
                f"Give the option a value that fits, or `{name}` the type `string`.",
                path=f"{data}/options/{place}/value"
                if option.value is not None
                else f"{data}/options/{place}",
                node_id=node.id,
            )
    if "other" in subject.leaving.get(node.id, {}):
        yield finding(
            "type-mismatch",
            f"an answer that takes `other` is saved as typed, and `{name}` is {_article(kind)}: it gets null "
            "where the answer does not fit",
            f"Give `{name}` the type `string`, or read the answer from `last_message`.",
            path=f"{data}/save_to",
            node_id=node.id,
        )


_OF_THE_MAIN_FLOW: Final = (
    "inactivity_timeout",
    "inactivity_text",
    "inactivity_target",
    "max_steps_per_turn",
    "debounce",
    "stuck_text",
    "closed_text",
)
"""Settings of the conversation as a whole: those of the flow that it began with count."""


def _main_settings(subject: Subject) -> Iterator[Finding]:
    if subject.context.slug in (None, MAIN_FLOW):
        return
    settings = subject.flow.settings
    for name in _OF_THE_MAIN_FLOW:
        if getattr(settings, name) != FlowSettings.model_fields[name].get_default(call_default_factory=True):
            yield finding(
                "setting-without-effect",
                f"`{name}` counts in the main flow alone, and `{subject.context.slug}` is run by others",
                "Set it in the main flow, or remove it.",
                path=f"/settings/{name}",
            )


def _input(subject: Subject, node: InputNode, data: str) -> Iterator[Finding]:
    field = node.data.field
    kinds: tuple[VariableType, ...] = _FIELD_TYPES.get(type(field), ("string",))
    if type(field) is TextField:
        kinds = ("string", "number", "boolean", "date", "datetime")
    reason = f"an input of the kind `{field.kind}` saves {_article(kinds[0])}"
    yield from _type(subject, node.data.save_to, kinds, reason, data, node.id)


def _rules(group: RulesTest | RuleGroup, path: str, node_id: str) -> Iterator[Finding]:
    for index, rule in enumerate(group.rules):
        place = f"{path}/rules/{index}"
        if isinstance(rule, RuleGroup):
            yield from _rules(rule, place, node_id)
        else:
            yield from _rule(rule, f"{place}/right", node_id)


def _rule(rule: Rule, path: str, node_id: str) -> Iterator[Finding]:
    right = rule.right
    formula = isinstance(right, str) and "{{" in right
    problem = None
    match rule.operator:
        case "empty" | "not_empty":
            if right is not None:
                problem = f"`{rule.operator}` compares with nothing"
        case "matches":
            if not isinstance(right, str):
                problem = "`matches` needs a pattern"
            elif not formula:
                yield from bad_pattern(right, path, node_id)
        case "between":
            if not formula and not (isinstance(right, list) and len(right) == 2):
                problem = "`between` needs a list of two values"
        case "in" | "not_in":
            if not formula and not isinstance(right, list):
                problem = f"`{rule.operator}` needs a list"
        case "contains" | "not_contains" | "starts_with" | "ends_with":
            if right is None or isinstance(right, dict):
                problem = f"`{rule.operator}` needs a value to look for"
        case "greater" | "greater_or_equal" | "less" | "less_or_equal":
            if right is None or isinstance(right, dict | list | bool):
                problem = f"`{rule.operator}` needs a number, a date or a text"
        case "is" | "is_not":
            pass
    if problem is not None:
        yield finding(
            "bad-comparison", problem, "Correct `right`, or use another operator.", path=path, node_id=node_id
        )


def _saved_by_model(subject: Subject, node: AiNode, data: str) -> Iterator[Finding]:
    match node.data.task:
        case ExtractTask(fields=fields, save_to=whole):
            for index, field in enumerate(fields):
                yield from _extracted(subject, field, f"{data}/task/fields/{index}", node.id)
            if whole is not None:
                reason = "the extracted values together are an object"
                yield from _type(subject, whole, ("object",), reason, f"{data}/task", node.id)
        case ClassifyTask(save_to=save_to):
            yield from _type(subject, save_to, ("string",), "a class is a text", f"{data}/task", node.id)
        case _:
            pass


def _extracted(subject: Subject, field: ExtractedField, path: str, node_id: str) -> Iterator[Finding]:
    kinds = _EXTRACTED_TYPES[field.type]
    reason = f"the model is asked for `{field.type}`"
    yield from _type(subject, field.variable, kinds, reason, path, node_id, field="variable")


def _action(subject: Subject, node: ActionNode, data: str) -> Iterator[Finding]:
    match node.data.action:
        case AskSatisfaction(save_to=str(save_to)):
            kinds: tuple[VariableType, ...] = ("number", "string")
            yield from _type(subject, save_to, kinds, "a rating is a number", f"{data}/action", node.id)
        case SetLanguage(language=str(language)) if language not in subject.flow.all_languages():
            yield finding(
                "undeclared-language",
                f"the conversation is set to `{language}`, which the flow does not declare",
                "Add it to `languages` and translate the texts.",
                path=f"{data}/action/language",
                node_id=node.id,
            )
        case _:
            pass


def _type(
    subject: Subject,
    name: str,
    fitting: tuple[VariableType, ...],
    reason: str,
    path: str,
    node_id: str,
    *,
    field: str = "save_to",
) -> Iterator[Finding]:
    declared = subject.types.get(name)
    if declared is not None and declared not in fitting:
        yield finding(
            "type-mismatch",
            f"{reason}, and the variable `{name}` is {_article(declared)}",
            f"Give `{name}` the type `{fitting[0]}`, or save to another variable.",
            path=f"{path}/{field}",
            node_id=node_id,
        )


def _article(kind: VariableType) -> str:
    return f"an {kind}" if kind == "object" else f"a {kind}"


def _defaults(subject: Subject) -> Iterator[Finding]:
    for index, variable in enumerate(subject.flow.variables):
        try:
            coerce(variable.default, variable.type)
        except CoercionError as error:
            yield finding(
                "bad-default",
                f"the default of `{variable.name}` does not fit {_article(variable.type)}: {error}",
                "Correct the default or the type.",
                path=f"/variables/{index}/default",
            )
