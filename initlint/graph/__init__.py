"""Front end 2: a live module to a Model, by building it, tracing it and measuring it; the only part that imports torch."""
