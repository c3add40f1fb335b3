#!/bin/bash
# A static build for this machine with its own C library (glibc), for every CI run: builds, shows that it is static and
# small, and talks to it. By Debian's Rust, of whatever version it is, since with it comes the source of the standard library.
set -euo pipefail

# Bytes.
BINDER_CEILING=1900000
SERVER_CEILING=2300000
CLIENT_CEILING=2800000

cd "$(dirname "$0")/.."
# shellcheck source=packaging/common.sh
. packaging/common.sh
PATH=/usr/bin:$PATH
if ! [ -d "$(rustc --print sysroot)/lib/rustlib/src/rust/library" ] || ! command -v cargo >/dev/null; then
    echo "test-host-static: needs Debian's Rust: apt-get install rustc-web cargo-web rust-web-src" >&2
    exit 1
fi
target=$(rustc -vV | sed -n 's/^host: //p')
directory=target/$target/release

RUSTC_BOOTSTRAP=1 small_build "$target" "-C target-feature=+crt-static $SMALLER" cargo build "${STD_FROM_SOURCE[@]}"

check() {
    if ldd "$directory/$1" >/dev/null 2>&1 && ! ldd "$directory/$1" | grep -q "statically linked"; then
        echo "$directory/$1 needs shared libraries:" >&2
        ldd "$directory/$1" >&2
        exit 1
    fi
    size=$(stat -c %s "$directory/$1")
    if [ "$size" -gt "$2" ]; then
        echo "$directory/$1 has $size bytes, more than $2" >&2
        exit 1
    fi
    echo "  static, $size of at most $2 bytes: $1"
}

check binder $BINDER_CEILING
check server $SERVER_CEILING
check client $CLIENT_CEILING
# A word that the shared log would say to its engine.
if grep -q XADD "$directory/server"; then
    echo "$directory/server has code of the feature share" >&2
    exit 1
fi
python3 packaging/converse.py "$directory" answers conversation
