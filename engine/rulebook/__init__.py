"""The language of rules: from YAML text to a checked rulebook, with findings that name their place."""
