"""The ways a mail can go, one file each, all behind ``outreach.channel``."""
