//! Progress on a terminal; nothing in CI, nothing where stderr is no terminal.

use std::io::IsTerminal;
use std::time::Duration;

use custody_contract::Surface;
use custody_scan::source::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::env_vars;

/// One bar over all surfaces.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar, if there is somebody to see it.
    pub fn new() -> Option<Bar> {
        let watched = std::io::stderr().is_terminal() && std::env::var_os(env_vars::CI).is_none_or(|v| v.is_empty());
        watched.then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{spinner} {msg:14} [{bar:30}] {pos}/{len}  {eta}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            // Short runs show nothing: the first tick comes after a moment.
            bar.enable_steady_tick(Duration::from_millis(250));
            Bar(bar)
        })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress for Bar {
    fn expect(&self, surface: Surface, items: u64) {
        self.0.set_message(surface.as_str());
        self.0.inc_length(items);
    }

    fn advance(&self, _: Surface, items: u64, _: u64) {
        self.0.inc(items);
    }
}
