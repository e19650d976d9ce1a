//! The Dockerfile, read as far as it says how the image runs.
