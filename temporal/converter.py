"""How values and failures travel between workflows and activities: pydantic's JSON, with room for a codec."""

from __future__ import annotations

import dataclasses

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)


def data_converter(codec: PayloadCodec | None = None) -> DataConverter:
    """Return the converter that clients and workers share; all of them need the same `codec`.

    With a codec, messages and stack traces of failures pass through it too: they may quote what people wrote.
    """
    if codec is None:
        return pydantic_data_converter
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
