"""Drop-in replacements for other caches, to move a program over step by step."""
