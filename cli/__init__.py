"""The `versaai` command. One module a command; `cli.main` registers them."""
