"""The programs that are measured, each beside the best that its peers can be given."""
