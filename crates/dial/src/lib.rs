//! From a URL to an open socket.
