"""The versions of the tables, one file each, in order; see ``engine.stores.schema``."""
