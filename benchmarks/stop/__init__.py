"""`make bench-stop`: `engine` is the engine that listens, `bench` the running stack around it, the others measure."""
