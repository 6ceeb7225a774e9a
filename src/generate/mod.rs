//! A plausible province, made deterministically from a seed.
