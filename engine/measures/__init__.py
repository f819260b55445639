"""The measures: one file for each family of questions asked of an account's events."""
