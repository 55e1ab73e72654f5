"""Deep learners, one file each. Every one has a Config, make_networks, its loss and train."""
