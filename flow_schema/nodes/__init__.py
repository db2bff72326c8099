"""The node kinds. `Node` is the closed union that everything which handles nodes matches on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flow_schema.nodes.action import ActionNode
from flow_schema.nodes.ai import AiNode
from flow_schema.nodes.api_call import ApiCallNode
from flow_schema.nodes.condition import ConditionNode
from flow_schema.nodes.exits import Exit
from flow_schema.nodes.input import InputNode
from flow_schema.nodes.message import MessageNode
from flow_schema.nodes.question import QuestionNode
from flow_schema.nodes.start import StartNode
from flow_schema.nodes.webhook import WebhookNode

Node = Annotated[
    StartNode
    | MessageNode
    | QuestionNode
    | InputNode
    | ConditionNode
    | AiNode
    | ApiCallNode
    | WebhookNode
    | ActionNode,
    Field(discriminator="type"),
]

NODE_KINDS = {
    model.model_fields["type"].annotation.__args__[0]: model
    for model in Node.__origin__.__args__  # type: ignore[attr-defined]
}
"""Kind -> its model, in the order of the union."""

__all__ = [
    "NODE_KINDS",
    "ActionNode",
    "AiNode",
    "ApiCallNode",
    "ConditionNode",
    "Exit",
    "InputNode",
    "MessageNode",
    "Node",
    "QuestionNode",
    "StartNode",
    "WebhookNode",
]
