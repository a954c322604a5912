"""Files in and out: readers, writers, dataset layouts, label conventions."""
