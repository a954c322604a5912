"""How far a result can be trusted: flags, the training range, the run's record, metrics."""
