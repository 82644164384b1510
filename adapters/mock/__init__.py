"""A simulated Micro-Manager core with one sCMOS camera."""
