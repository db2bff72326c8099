"""What formulas and texts read, what nodes set, and what they name outside of the flow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from typing import Final

from flow_schema.checks.subject import Subject
from flow_schema.expressions import read_names
from flow_schema.fields import Role, TemplateReference
from flow_schema.findings import Finding, finding
from flow_schema.flow import RESERVED_NAMES
from flow_schema.nodes.action import RunScript
from flow_schema.references import TEXT_ROLES, FieldUse, formulas_in

LOCAL_NAMES: Final = frozenset({"args", "callback_url"})
"""Names that have a value only below models which provide them."""


def check_names(subject: Subject) -> Iterator[Finding]:
    """Formulas, variables, secrets, schedules, templates, collections and models."""
    declared = {variable.name for variable in subject.flow.variables}
    for node_id, use in subject.uses:
        yield from _formulas(subject, declared, node_id, use)
        match use.role:
            case Role.VARIABLE_WRITE if use.value not in declared:
                yield finding(
                    "unknown-target-variable",
                    f"the node sets `{use.value}`, which is not declared"
                    + subject.suggestion(use.value, declared),
                    "Declare the variable in `variables`, or name another.",
                    path=use.path,
                    node_id=node_id,
                )
            case Role.SCHEDULE:
                yield from _schedule(subject, node_id, use)
            case Role.COLLECTION if subject.context.collections is not None:
                yield from _listed(subject, "collection", subject.context.collections, node_id, use)
            case Role.MODEL:
                yield from _model(subject, node_id, use)
            case role if role in TEXT_ROLES and isinstance(use.value, TemplateReference):
                yield from _template(subject, node_id, use)
            case _:
                pass
    yield from _unused(subject)


def _formulas(subject: Subject, declared: set[str], node_id: str | None, use: FieldUse) -> Iterator[Finding]:
    provided = frozenset().union(*(owner.provides for owner in use.owners if hasattr(owner, "provides")))
    for path, text, bare in formulas_in(use):
        if not bare and "{{" not in text:
            continue
        read, faults = read_names(text, bare=bare)
        for fault in faults:
            place = "" if fault.position is None else f" at character {fault.position + 1}"
            yield finding(
                "bad-expression",
                f"{fault.reason} (in `{fault.expression.strip()[:120]}`{place})",
                "Correct the formula; docs/expressions.md lists operators and functions.",
                path=path,
                node_id=node_id,
            )
        for keys in sorted(read):
            yield from _name(subject, declared, provided, node_id, use, path, keys)


def _name(
    subject: Subject,
    declared: set[str],
    provided: frozenset[str],
    node_id: str | None,
    use: FieldUse,
    path: str,
    keys: tuple[str, ...],
) -> Iterator[Finding]:
    name = keys[0]
    if name == "secrets":
        yield from _secret(subject, node_id, use, path, keys)
    elif name in declared or name in provided or name in subject.context.platform_names:
        return
    elif name in LOCAL_NAMES:
        where = "requests of a model's tools" if name == "args" else "a `webhook` that waits for a callback"
        yield finding(
            "misplaced-name",
            f"`{name}` has a value only in {where}",
            "Save what you need in a variable and read that here.",
            path=path,
            node_id=node_id,
        )
    elif name not in RESERVED_NAMES:
        known = declared | (RESERVED_NAMES - LOCAL_NAMES - {"secrets"})
        yield finding(
            "unknown-variable",
            f"`{name}` is neither a declared variable nor a name the platform provides"
            + subject.suggestion(name, known),
            "Declare the variable in `variables`, or correct the name; quote it if it is meant as a text.",
            path=path,
            node_id=node_id,
        )


def _secret(
    subject: Subject, node_id: str | None, use: FieldUse, path: str, keys: tuple[str, ...]
) -> Iterator[Finding]:
    if not use.secrets_allowed:
        yield finding(
            "misplaced-secret",
            "secrets can be read in the requests of `api_call`, `webhook` and model tools alone",
            "Move it into the address, query, headers or body of a request.",
            path=path,
            node_id=node_id,
        )
    elif len(keys) < 2:
        yield finding(
            "misplaced-secret",
            "a secret is read by its name, as `secrets.NAME`",
            "Write the secret's name after `secrets.`.",
            path=path,
            node_id=node_id,
        )
    elif subject.context.secrets is not None and keys[1] not in subject.context.secrets:
        yield finding(
            "unknown-secret",
            f"there is no secret `{keys[1]}`"
            + subject.suggestion(keys[1], frozenset(subject.context.secrets)),
            "Add the secret in the organization's settings, or correct the name.",
            path=path,
            node_id=node_id,
        )


def _schedule(subject: Subject, node_id: str | None, use: FieldUse) -> Iterator[Finding]:
    known = {schedule.id for schedule in subject.flow.settings.schedules}
    if use.value not in known:
        yield finding(
            "unknown-schedule",
            f"the settings have no schedule `{use.value}`" + subject.suggestion(use.value, known),
            "Add it to `settings.schedules`, or name another.",
            path=use.path,
            node_id=node_id,
        )


def _listed(
    subject: Subject, what: str, known: object, node_id: str | None, use: FieldUse
) -> Iterator[Finding]:
    names = frozenset(known) if isinstance(known, frozenset | set) else frozenset()
    if use.value not in names:
        yield finding(
            f"unknown-{what}",
            f"there is no {what} `{use.value}`" + subject.suggestion(use.value, names),
            f"Create the {what}, or name another.",
            path=use.path,
            node_id=node_id,
        )


def _template(subject: Subject, node_id: str | None, use: FieldUse) -> Iterator[Finding]:
    known = subject.context.templates
    if known is not None and use.value.template not in known:
        yield finding(
            "unknown-template",
            f"there is no response template `{use.value.template}`"
            + subject.suggestion(use.value.template, frozenset(known)),
            "Create the template, or write the text here.",
            path=use.path,
            node_id=node_id,
        )


def _model(subject: Subject, node_id: str | None, use: FieldUse) -> Iterator[Finding]:
    provider, slash, name = use.value.partition("/")
    known, is_usable = subject.context.models, subject.context.is_usable_model
    if not (slash and provider and name):
        yield finding(
            "unknown-model",
            f"`{use.value}` does not say whose model it is",
            "Write `provider/model`, such as `openai/gpt-4o-mini`.",
            path=use.path,
            node_id=node_id,
        )
    elif known is not None and use.value not in known and f"{provider}/*" not in known:
        yield finding(
            "unknown-model",
            f"the model `{use.value}` is not available here"
            + subject.suggestion(use.value, frozenset(known)),
            f"Name one of {_listing(known)}.",
            path=use.path,
            node_id=node_id,
        )
    elif is_usable is not None and not is_usable(use.value):
        yield finding(
            "unconfigured-model",
            f"the provider of `{use.value}` is not set up here, so every call of the model fails",
            "Set the provider's key (or address), or name a model of another provider.",
            path=use.path,
            node_id=node_id,
        )


def _listing(names: Set[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in sorted(names)[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _unused(subject: Subject) -> Iterator[Finding]:
    used: set[str] = set()
    for names in subject.read.values():
        used |= names
    for names in subject.written.values():
        used |= names
    for node in subject.flow.nodes:
        action = getattr(node.data, "action", None)
        if isinstance(action, RunScript):
            used |= set(re.findall(r"[A-Za-z][A-Za-z0-9_]*", action.code))
    for index, variable in enumerate(subject.flow.variables):
        if variable.name not in used and not variable.input and not variable.output:
            yield finding(
                "unused-variable",
                f"the variable `{variable.name}` is neither set nor read anywhere",
                "Use it, mark it as an input or output, or delete it.",
                path=f"/variables/{index}",
            )
