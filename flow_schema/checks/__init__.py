"""The checks of a whole flow, one file a subject. Each takes a `Subject` and yields findings."""
