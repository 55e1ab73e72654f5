"""The pictures of the book, each made by code."""
