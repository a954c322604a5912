"""What was acquired, and what it came from: arrays with their place in the world."""
