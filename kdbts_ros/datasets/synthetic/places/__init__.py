"""Places other than streets: rooms, halls, car parks, yards and paths."""
