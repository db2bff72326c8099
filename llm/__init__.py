"""Language models behind one Protocol: providers, fallbacks, memory, extraction, classification.

Start at `llm.registry.ProviderRegistry` (which provider serves a model) and
`llm.fallbacks.complete_with_fallbacks` (one answer, from the first model that can give it). Nothing here
retries: retries belong to the durable workflow that calls, and stacking two policies multiplies both.
"""
