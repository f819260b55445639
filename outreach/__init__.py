"""How words leave: templates, rendering, mail, channels and the sender."""
