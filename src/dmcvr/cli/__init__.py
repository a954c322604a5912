"""The command line: thin; it parses, calls the library, prints."""
