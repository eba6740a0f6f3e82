//! Realistic tasks, the same for the same seed.
