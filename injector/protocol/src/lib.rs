//! What the plugin and the injector say to each other. No unsafe, no libc.
