"""Activities: contract in, domain call, contract out; named as `flow_schema.effects` names them."""
