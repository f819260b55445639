"""What customers and providers reach from outside, on a listener of its own."""
