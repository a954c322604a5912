"""Training as a user would: data, augmentation, losses, a loop that can be killed and resumed."""
