"""The telling room: decisions in; journal, deny table and words for people out."""
