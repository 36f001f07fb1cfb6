"""The page of `zactor web`: a client of the cluster that speaks HTTP to browsers."""
