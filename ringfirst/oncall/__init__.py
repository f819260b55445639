"""What somebody on call sees: what workers say of themselves, and what that means in one word."""
