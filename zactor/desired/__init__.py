"""Files that say what should be there: how they are read and written."""
