"""One module a revision, named `r` and its number."""
