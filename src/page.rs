//! The pages that browsers get by `GET /`: at the chat server the chat itself, at the binder the list of servers.
//!
//! `src/page` has them as plain HTML, CSS and JavaScript; `build.rs` makes one compressed document of each. Nothing of them is made at
//! run time, so no text of a peer is in them: they fetch what they show by the calls that everybody makes.

use crate::program::{Flag, Options};
use crate::rpc::WebPage;

#[cfg(feature = "page")]
macro_rules! page {
    ($name:literal) => {
        Some(&WebPage {
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".html.gz")),
            headers: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".headers")),
        })
    };
}

#[cfg(not(feature = "page"))]
macro_rules! page {
    ($name:literal) => {
        None
    };
}

/// The chat. `None` without the feature `page`.
pub const CHAT: Option<&WebPage> = page!("chat");

/// The list of servers. `None` without the feature `page`.
pub const BINDER: Option<&WebPage> = page!("binder");

/// The option of the programs that have a page.
pub const FLAGS: &[Flag] =
    if CHAT.is_some() { &[Flag::switch("no-page", "Serve no page to browsers; GET / is then refused.")] } else { &[] };

/// Returns `page`, unless the command line declines it.
#[must_use]
pub fn wanted(page: Option<&'static WebPage>, options: &Options) -> Option<&'static WebPage> {
    page.filter(|_| !options.has("no-page"))
}
