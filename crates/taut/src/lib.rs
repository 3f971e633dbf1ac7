//! Taut.
