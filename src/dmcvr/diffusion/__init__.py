"""Noise schedule, samplers and inverters: pure functions that know neither networks nor files."""
