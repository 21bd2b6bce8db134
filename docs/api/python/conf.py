"""Sphinx's settings for the pages of the Python package, built by `cargo xtask docs`."""

import libkv

project = "libkv"
author = "The libkv authors"
version = release = libkv.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "alabaster"
html_theme_options = {"description": "An embedded key-value store with exact TTLs, used as a dict"}
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autoclass_content = "both"
nitpicky = False
