//! A folder as answers to HTTP requests.
