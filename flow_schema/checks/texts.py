"""The texts that people read: their languages, those without words, and labels that can't be told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from flow_schema.checks.subject import Subject
from flow_schema.expression_syntax import split_text
from flow_schema.expressions import ExpressionError
from flow_schema.fields import Role, TemplateReference, localized
from flow_schema.findings import Finding, finding
from flow_schema.nodes.message import MessageNode
from flow_schema.nodes.question import QuestionNode
from flow_schema.references import TEXT_ROLES, FieldUse

MAX_LISTED: Final = 5


def check_texts(subject: Subject) -> Iterator[Finding]:
    """Texts without words, equal labels, missing and undeclared languages."""
    yield from _empty(subject)
    yield from _equal_labels(subject)
    yield from _languages(subject)


def _empty(subject: Subject) -> Iterator[Finding]:
    for node_id, use in subject.uses:
        if use.role is Role.TEXT and _is_required(use) and _is_blank(use.value):
            yield finding(
                "empty-text",
                f"`{use.path.rsplit('/', 1)[-1]}` has no words, so the visitor sees nothing there",
                "Write the text.",
                path=use.path,
                node_id=node_id,
            )
    for index, node in enumerate(subject.flow.nodes):
        if isinstance(node, MessageNode):
            data = node.data
            if data.text is not None and _is_blank(data.text) and not data.media and not data.cards:
                yield finding(
                    "empty-text",
                    f"{subject.node_name(node.id)} says nothing: its text has no words, and it has no media "
                    "and no cards",
                    "Write the text, or delete the node.",
                    path=f"/nodes/{index}/data/text",
                    node_id=node.id,
                )


def _is_required(use: FieldUse) -> bool:
    field = type(use.owner).model_fields.get(use.path.rsplit("/", 1)[-1])
    return field is not None and field.is_required()


def _is_blank(text: str | dict[str, str] | TemplateReference) -> bool:
    if isinstance(text, TemplateReference):
        return False
    return not any(item.strip() for item in ([text] if isinstance(text, str) else text.values()))


def _equal_labels(subject: Subject) -> Iterator[Finding]:
    """Options that read alike in some language: the visitor can't tell them apart, nor can matching."""
    default = subject.flow.language
    for index, node in enumerate(subject.flow.nodes):
        if not isinstance(node, QuestionNode):
            continue
        first: dict[tuple[str, str], str] = {}
        for place, option in enumerate(node.data.options):
            read = {
                language: " ".join(localized(option.label, language, default).split()).casefold()
                for language in subject.flow.all_languages()
            }
            twins = [
                (language, first[language, label])
                for language, label in read.items()
                if label and (language, label) in first
            ]
            if twins:
                language, twin = twins[0]
                yield finding(
                    "duplicate-label",
                    f"the options `{twin}` and `{option.id}` have the same label in `{language}`",
                    "Give each option a label of its own.",
                    path=f"/nodes/{index}/data/options/{place}/label",
                    node_id=node.id,
                )
            for language, label in read.items():
                first.setdefault((language, label), option.id)


def _languages(subject: Subject) -> Iterator[Finding]:
    """One finding a language, with how many texts lack it and where the first are."""
    languages = subject.flow.all_languages()
    missing: dict[str, list[tuple[str | None, str]]] = {language: [] for language in languages}
    undeclared: Counter[str] = Counter()
    first_use: dict[str, tuple[str | None, str]] = {}
    for node_id, use in subject.uses:
        if use.role not in TEXT_ROLES:
            continue
        if isinstance(use.value, dict):
            for language in languages:
                if not _covers(use.value, language):
                    missing[language].append((node_id, use.path))
            for tag in use.value:
                if not any(tag.split("-")[0] == language.split("-")[0] for language in languages):
                    undeclared[tag] += 1
                    first_use.setdefault(tag, (node_id, use.path))
        elif isinstance(use.value, str) and use.role is Role.TEXT and _has_words(use.value):
            for language in languages[1:]:
                missing[language].append((node_id, use.path))
    for language, places in missing.items():
        if places:
            listed = list(dict.fromkeys(f"`{node_id or 'settings'}`" for node_id, _ in places))
            more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
            yield finding(
                "missing-texts",
                f"{len(places)} {'text is' if len(places) == 1 else 'texts are'} missing in `{language}`: "
                + ", ".join(listed[:MAX_LISTED])
                + more,
                f"Translate them, or remove `{language}` from `languages`.",
                path=places[0][1],
                node_id=places[0][0],
            )
    for tag, count in undeclared.items():
        yield finding(
            "undeclared-language",
            f"{count} {'text has' if count == 1 else 'texts have'} a translation to `{tag}`, which the flow "
            "does not declare",
            f"Add `{tag}` to `languages`, or remove the translations.",
            path=first_use[tag][1],
            node_id=first_use[tag][0],
        )


def _covers(translations: dict[str, str], language: str) -> bool:
    """Whether what is read in the language, the exact or else its base, has words; or none has any."""
    if _is_blank(translations):
        return True
    read = translations.get(language, translations.get(language.split("-")[0], ""))
    return bool(read.strip())


def _has_words(text: str) -> bool:
    """Whether there is anything to translate: letters outside of formulas."""
    try:
        parts = split_text(text)
    except ExpressionError:
        return False
    return any(isinstance(part, str) and re.search(r"[^\W\d_]", part) for part in parts)
