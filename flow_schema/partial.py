"""What can be judged of a document that is no flow yet, so that one slip does not hide all other findings.

What can't be read is replaced by something harmless at the same place: a node by a stub of the same id, a
variable by one of the same name, a setting by its default. Findings about the stubs, and those that depend on
the whole graph, would be noise; they are left out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from flow_schema.fields import ID_PATTERN
from flow_schema.findings import CODES, Finding
from flow_schema.flow import Flow
from flow_schema.upgrade import upgrade
from flow_schema.wording import without_branches

_OF_THE_WHOLE: Final = frozenset(
    {
        "missing-start", "unreachable-node", "dangling-exit", "dead-exit", "unknown-group", "endless-loop",
        "counted-loop", "endless-recursion", "recursion", "flows-too-deep", "unused-variable",
        "broken-caller", "missing-texts", "undeclared-language",
    }
)  # fmt: skip
"""Codes that say something of the graph or the flow as a whole."""
_OF_VARIABLES: Final = frozenset({"unknown-variable", "unknown-target-variable"})
_ID: Final = re.compile(ID_PATTERN)
_ATTEMPTS: Final = 3
_NOWHERE: Final = -1
"""The place of what stands in the flow alone, not in the document."""


@dataclass
class Rest:
    """A flow of what could be read, and how to take findings about it."""

    flow: Flow
    stubs: set[str] = field(default_factory=set)
    kept: dict[str, list[int]] = field(default_factory=dict)
    """Of lists from which entries were dropped: the places that the remaining ones had."""
    silent: set[str] = field(default_factory=set)

    def trusted(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that hold for the document too, with the places they have there."""
        found = []
        for item in findings:
            if item.code in self.silent or item.node_id in self.stubs:
                continue
            parts = item.path.split("/")
            places = self.kept.get(parts[1]) if len(parts) > 2 else None
            if places is not None and parts[2].isdecimal():
                place = places[int(parts[2])]
                if place == _NOWHERE:
                    continue
                parts[2] = str(place)
            found.append(item.model_copy(update={"path": "/".join(parts)}))
        return found


def readable_rest(document: dict[str, Any], error: ValidationError) -> Rest | None:
    """A flow of all that pydantic could read of a document, given its complaints; None if nothing is left."""
    try:
        rest = copy.deepcopy(upgrade(document))
    except (ValueError, TypeError):
        return None
    repair = _Repair(rest)
    for _ in range(_ATTEMPTS):
        for detail in error.errors(include_url=False):
            location = detail["loc"]
            repair.mend(
                without_branches(location, rest, missing=detail["type"] == "missing"),
                superfluous=detail["type"] == "extra_forbidden",
            )
        repair.apply()
        try:
            flow = Flow.model_validate(rest)
        except ValidationError as again:
            error = again
            continue
        return Rest(flow, repair.stubs, repair.kept, repair.silent)
    return None


class _Repair:
    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.stubs: set[str] = set()
        self.silent: set[str] = set(_OF_THE_WHOLE)
        self.kept: dict[str, list[int]] = {}
        self._broken: dict[str, set[int]] = {
            "nodes": set(),
            "edges": set(),
            "variables": set(),
            "groups": set(),
        }

    def mend(self, place: Sequence[int | str], *, superfluous: bool) -> None:
        """Note or repair what stands at a place of the document."""
        section = str(place[0]) if place else ""
        if superfluous and len(place) > 1:
            _remove(self.document, place)
        elif section in self._broken and len(place) > 1 and isinstance(place[1], int):
            self._broken[section].add(place[1])
        elif section == "settings" and len(place) > 1 and isinstance(self.document[section], dict):
            self.document[section].pop(place[1], None)
            self.silent.add("unknown-schedule")
        elif section == "name":
            self.document["name"] = "-"
        else:
            self.document.pop(section, None)
            self.silent |= (
                {"unknown-schedule", *_OF_VARIABLES} if section in ("variables", "settings") else set()
            )

    def apply(self) -> None:
        """Replace the broken entries of lists."""
        for place in self._broken["nodes"]:
            self.document["nodes"][place] = self._stub(self.document["nodes"][place], place)
        for section in ("variables", "edges", "groups"):
            entries = self.document.get(section)
            if not self._broken[section] or not isinstance(entries, list):
                continue
            before = self.kept.get(section, list(range(len(entries))))
            sound = [place for place in range(len(entries)) if place not in self._broken[section]]
            named = [entries[place] for place in self._broken[section]]
            self.document[section] = [entries[place] for place in sound]
            self.kept[section] = [before[place] for place in sound]
            if section == "variables":
                self._keep_names(named)
        self._broken = {section: set() for section in self._broken}

    def _stub(self, node: Any, place: int) -> dict[str, Any]:
        name = node.get("id") if isinstance(node, dict) else None
        if not isinstance(name, str) or not _ID.match(name):
            name = f"unreadable-{place}"
            self.silent.add("unknown-node")
        self.stubs.add(name)
        return {"id": name, "type": "message", "data": {"text": "-"}}

    def _keep_names(self, variables: list[Any]) -> None:
        """Variables that can't be read are known by their names still; of what type is not."""
        self.silent |= {"type-mismatch", "bad-default"}
        for variable in variables:
            name = variable.get("name") if isinstance(variable, dict) else None
            if isinstance(name, str) and set(variable) != {"name"}:
                self.document["variables"].append({"name": name})
                self.kept["variables"].append(_NOWHERE)
            else:
                self.silent |= _OF_VARIABLES


def _remove(document: Any, place: Sequence[int | str]) -> None:
    *way, last = place
    for part in way:
        document = document[part]
    if isinstance(document, dict):
        document.pop(last, None)


assert CODES.keys() >= _OF_THE_WHOLE | _OF_VARIABLES
