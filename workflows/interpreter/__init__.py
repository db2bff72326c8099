"""The interpreter: walks a flow graph, one turn at a time, without knowing Temporal."""
