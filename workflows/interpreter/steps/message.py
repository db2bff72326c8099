"""`message`: says its text, media and cards."""

from __future__ import annotations

from flow_schema.nodes.message import Card, MessageNode
from flow_schema.turns import CardButtonContent, CardContent, CardsContent, MediaContent
from workflows.interpreter.context import StepContext
from workflows.interpreter.outcomes import Goto, Outcome


async def message(node: MessageNode, ctx: StepContext) -> Outcome:
    """Everything is rendered before anything is said, so that a bad formula leaves nothing half said."""
    data = node.data
    text = ctx.optional_text(data.text)
    media = [
        MediaContent(
            type=entry.kind,
            url=ctx.template(entry.url),
            alt=ctx.optional_text(entry.alt),
            name=ctx.optional_text(entry.name),
            height=entry.height,
        )
        for entry in data.media
    ]
    cards = [_card(card, ctx) for card in data.cards]
    ctx.say_text(text, typing=data.typing_seconds)
    for content in media:
        ctx.say(content)
    if cards:
        ctx.say(CardsContent(cards=cards))
    return Goto("next")


def _card(card: Card, ctx: StepContext) -> CardContent:
    return CardContent(
        title=ctx.text(card.title),
        text=ctx.optional_text(card.text),
        image_url=ctx.template(card.image_url) if card.image_url else None,
        buttons=[
            CardButtonContent(
                label=ctx.text(button.label),
                url=ctx.template(button.url) if button.url else None,
                reply=ctx.optional_text(button.reply),
            )
            for button in card.buttons
        ],
    )
