"""The load that `versaai bench` puts on a running platform, and how it is measured."""
