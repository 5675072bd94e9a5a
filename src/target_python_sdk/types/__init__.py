"""Result types."""
