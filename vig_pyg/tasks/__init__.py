"""What can be learned, by name."""
