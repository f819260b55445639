"""Reports: what an account got in a period, what that is worth, and which events say so."""
