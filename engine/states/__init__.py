"""The ways to keep the state of accounts: one contract, and an implementation for each layout."""
