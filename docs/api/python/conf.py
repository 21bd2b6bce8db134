"""Sphinx's settings for the pages of the Python package, built by `cargo xtask docs`."""

import builtins

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

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


def leave_built_in_types(app: Sphinx, document: nodes.document) -> None:
    """Makes no links of the names of built-in types: `bytes` is also a field of two records."""
    for link in list(document.findall(addnodes.pending_xref)):
        if link.get("refdomain") == "py" and hasattr(builtins, link.get("reftarget", "")):
            link.replace_self(link.children)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("doctree-read", leave_built_in_types)
