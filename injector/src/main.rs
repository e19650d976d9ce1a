//! The program in the image.

fn main() {}
