"""Protocols and metrics: what is claimed is measured here."""
