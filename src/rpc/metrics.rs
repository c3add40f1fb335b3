//! Figures for operators, in the text format of Prometheus, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write as _;
#[cfg(feature = "share")]
use std::time::Duration;

/// The text of `/metrics`, to which each part of a program adds its figures.
#[derive(Debug, Default)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Adds a figure that only grows; its name ends in `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "counter", help, value);
    }

    /// Adds a figure as it is now.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.one(name, "gauge", help, value);
    }

    /// Adds a time in seconds, as it is now.
    #[cfg(feature = "share")]
    pub fn seconds(&mut self, name: &str, help: &str, value: Duration) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.text, "{name} {}", value.as_secs_f64());
    }

    /// Adds a counter for each value of a label. The values need no escapes.
    pub fn counters<'a>(&mut self, name: &str, help: &str, label: &str, values: impl Iterator<Item = (&'a str, u64)>) {
        self.head(name, "counter", help);
        for (of, value) in values {
            let _ = writeln!(self.text, "{name}{{{label}=\"{of}\"}} {value}");
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        let _ = writeln!(self.text, "{name} {value}");
    }

    // Writing to a String cannot fail.
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
    }
}
