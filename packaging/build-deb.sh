#!/bin/bash
# Packs the Debian package of a target that packaging/build-static.sh has built: packaging/build-deb.sh TARGET DIRECTORY.
# Prints the path of the package. Needs cargo-deb, which it installs under target/tools.
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=packaging/common.sh
. packaging/common.sh

tools=$PWD/target/tools
if [ "$("$tools/bin/cargo-deb" --version 2>/dev/null)" != "cargo-deb $CARGO_DEB" ]; then
    cargo install --quiet --force --locked --root "$tools" --version "$CARGO_DEB" cargo-deb
fi
cargo run --quiet --locked --example generate -- target/generated
PATH=$tools/bin:$PATH cargo deb --quiet --no-build --no-strip --locked --target "$(triple "$1")" --output "$2"
