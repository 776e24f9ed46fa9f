"""The laws, a module for each group of promises."""
