"""Image files: finding them and opening them, for every task."""
