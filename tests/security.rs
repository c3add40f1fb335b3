//! The table of SECURITY.md names tests that exist.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::path::Path;

#[test]
fn every_attack_in_the_table_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut count = 0;
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| **")) {
        let tests = line.split('`').filter(|text| text.contains("::"));
        let mut found = false;
        for test in tests {
            let (module, name) = test.rsplit_once("::").unwrap();
            let file = module.strip_prefix("src::").map_or_else(
                || root.join("tests").join(format!("{module}.rs")),
                |module| root.join("src").join(format!("{}.rs", module.replace("::", "/"))),
            );
            let source = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let place = source.find(&format!("fn {name}(")).unwrap_or_else(|| panic!("there is no {test}"));
            let near = &source[source.floor_char_boundary(place.saturating_sub(200))..place];
            assert!(near.contains("#[test]"), "{test} is no test");
            (found, count) = (true, count + 1);
        }
        assert!(found || line.starts_with("| attack") || line.starts_with("| ---"), "no test: {line}");
    }
    assert!(count > 40, "{count}");
}
