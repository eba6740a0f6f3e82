//! A simulated OpenProject (API v3).
