"""Training: losses, frame sampling, distillation and the loops around them."""
