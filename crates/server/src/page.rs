//! The live page, as it stands in `page/`: one file without outside requests.

/// `/` and `/r/ROOM` in a browser.
pub(crate) const HTML: &[u8] = include_bytes!("../page/index.html");
/// Its icon.
pub(crate) const ICON: &[u8] = include_bytes!("../page/favicon.svg");
