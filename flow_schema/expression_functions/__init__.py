"""The functions of the expression language, by group; `FUNCTIONS` is what designers read about them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from flow_schema.expression_functions import collections, dates, numbers, texts
from flow_schema.expression_functions.registry import FunctionDocument, Implementation, combine

_documents, _implementations = combine(
    [texts.GROUP, numbers.GROUP, dates.GROUP, collections.LISTS, collections.OBJECTS]
)

FUNCTIONS: Final[Mapping[str, FunctionDocument]] = MappingProxyType(dict(_documents))
IMPLEMENTATIONS: Final[Mapping[str, Implementation]] = MappingProxyType(dict(_implementations))

__all__ = ["FUNCTIONS", "IMPLEMENTATIONS", "FunctionDocument", "Implementation"]
