"""Artifacts that an edge serves: watching, registry, activities and tokens in them."""
