"""What an upload gives."""

from __future__ import annotations

from pydantic import Field

from api.fields import Outgoing


class UploadedFile(Outgoing):
    """A stored file; send its `id` in a `files` input."""

    id: str = Field(title="Id", description="The upload's id.")
    name: str = Field(title="Name", description="The file's name.")
    media_type: str = Field(title="Media type", description="As sniffed from the content.")
    size: int = Field(title="Size", description="Bytes.", ge=0)
    url: str = Field(title="Address", description="A signed link that works for a while.")
