"""archloom."""
