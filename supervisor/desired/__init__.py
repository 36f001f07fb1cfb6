"""What a file wants of the network, compared with what there is. Pure."""
