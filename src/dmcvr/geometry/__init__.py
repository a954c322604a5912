"""Where the heart lies and how, the region the networks see, and the exact way back."""
