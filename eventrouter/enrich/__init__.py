"""What the API server knows of the object that an event is about: labels, annotations, owner."""
