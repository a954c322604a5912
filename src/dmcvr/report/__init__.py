"""One self-contained page for every result: to look at, to send to a colleague, to keep."""
