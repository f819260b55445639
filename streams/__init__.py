"""How events arrive and how their health is seen."""
