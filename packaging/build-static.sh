#!/bin/bash
# Builds the three programs as static musl binaries: packaging/build-static.sh TARGET…
#
# TARGET is x86_64, aarch64, armv7 (hard float), armv6 (hard float, the first Raspberry Pi) or riscv64.
# Results: target/<Rust's name of the target>/release/{binder,server,client}, stripped unless
# CARGO_PROFILE_RELEASE_STRIP=false is in the environment.
#
# Two ways, and the script says which one it takes:
#   rustup  the standard library that rustup has for the target, linked by the rust-lld of the same toolchain;
#   source  the standard library built with the program by Debian's rustc-web, cargo-web and rust-web-src, linked by
#           zig: 300 KB smaller, by an option of cargo that is not yet stable. For what is shipped, for targets that rustup
#           does not have here, and always for the 32-bit ones: see std-time64.patch.
# WAY=rustup or WAY=source in the environment takes that one, or fails.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=packaging/common.sh
. "$root/packaging/common.sh"
tools=$root/target/tools
std_source=/usr/src/rustc-$DEBIAN_RUST/library

fail() {
    echo "build-static: $*" >&2
    exit 1
}

# The standard library that rustup ships for 32-bit musl reads the time through the 32-bit clock_gettime, which fails
# from 2038 on, and then SystemTime::now panics.
rustup_has() {
    case $1 in arm*) return 1 ;; esac
    command -v rustup >/dev/null || return 1
    rustup target list --installed --toolchain $RUSTUP_RUST 2>/dev/null | grep -qx "$1" ||
        timeout 120 rustup target add --toolchain $RUSTUP_RUST "$1" >/dev/null 2>&1
}

# No path of this machine may reach the binaries, or two machines would build different ones. Short ones are 9 KB less:
# each place that can panic has its file's name. Of several that fit a path the last one counts.
flags() {
    cargo_home=${CARGO_HOME:-$HOME/.cargo}
    words="-C target-feature=+crt-static --remap-path-prefix=$root=/chat-rpc"
    words+=" --remap-path-prefix=$cargo_home=/cargo"
    for sources in "$cargo_home"/registry/src/*; do words+=" --remap-path-prefix=$sources="; done
    # Cargo compiles the standard library by paths relative to the project.
    words+=" --remap-path-prefix=target/tools/sysroot-$DEBIAN_RUST/lib/rustlib/src/rust/library=/std"
    echo "$words"
}

build_with_rustup() {
    linker=CARGO_TARGET_$(echo "$1" | tr 'a-z-' 'A-Z_')_LINKER
    small_build "$1" "$(flags)" env RUSTUP_TOOLCHAIN=$RUSTUP_RUST "$linker=rust-lld" cargo build
}

# Python's tools go to a directory of their own, and so does a copy of the standard library's source with our patch:
# rustc and cargo from $sysroot/bin are Debian's, only told to look there.
prepare_source_way() {
    sysroot=$tools/sysroot-$DEBIAN_RUST
    venv=$tools/zig-$ZIGLANG-zigbuild-$CARGO_ZIGBUILD
    case $(/usr/bin/rustc --version 2>/dev/null) in
    "rustc $DEBIAN_RUST "*) ;;
    *) fail "needs Debian's Rust $DEBIAN_RUST: apt-get install rustc-web cargo-web rust-web-src" ;;
    esac
    [ -d "$std_source" ] || fail "$std_source is missing: apt-get install rust-web-src"
    if ! [ -e "$venv/ready" ]; then
        python3 -m venv "$venv"
        "$venv/bin/pip" install --quiet "ziglang==$ZIGLANG" "cargo-zigbuild==$CARGO_ZIGBUILD"
        touch "$venv/ready"
    fi
    if ! [ "$sysroot/ready" -nt "$root/packaging/std-time64.patch" ]; then
        rm -rf "$sysroot"
        mkdir -p "$sysroot/bin" "$sysroot/lib/rustlib/src/rust"
        cp -r "$std_source" "$sysroot/lib/rustlib/src/rust/"
        patch --quiet -d "$sysroot/lib/rustlib/src/rust" -p1 <"$root/packaging/std-time64.patch"
        host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
        ln -s "/usr/lib/rustlib/$host" "$sysroot/lib/rustlib/$host"
        ln -s /usr/bin/cargo "$sysroot/bin/cargo"
        printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$sysroot" >"$sysroot/bin/rustc"
        chmod +x "$sysroot/bin/rustc"
        touch "$sysroot/ready"
    fi
}

build_from_source() {
    prepare_source_way
    # zig brings the C library.
    PATH=$sysroot/bin:$venv/bin:$PATH RUSTC_BOOTSTRAP=1 small_build "$1" \
        "$(flags) -C link-self-contained=no $SMALLER" cargo-zigbuild zigbuild "${STD_FROM_SOURCE[@]}"
}

[ $# -gt 0 ] || fail "usage: $0 TARGET… (known: $TARGETS)"
cd "$root"
# What `flags` looks for.
cargo fetch --quiet --locked
for target in "$@"; do
    triple=$(triple "$target")
    way=${WAY:-}
    [ -n "$way" ] || if rustup_has "$triple"; then way=rustup; else way=source; fi
    case $way in
    rustup)
        rustup_has "$triple" || fail "$target: rustup $RUSTUP_RUST cannot serve $triple"
        echo "build-static: $target by rustup's Rust $RUSTUP_RUST"
        build_with_rustup "$triple"
        ;;
    source)
        echo "build-static: $target with its standard library from source: Debian's Rust $DEBIAN_RUST," \
            "ziglang $ZIGLANG, cargo-zigbuild $CARGO_ZIGBUILD"
        build_from_source "$triple"
        ;;
    *) fail "WAY=$way is neither rustup nor source" ;;
    esac
    for program in binder server client; do
        binary=target/$triple/release/$program
        case $(file -b "$binary") in
        *dynamically*) fail "$binary is not static" ;;
        *"not stripped"*) [ "${CARGO_PROFILE_RELEASE_STRIP:-}" = false ] || fail "$binary is not stripped" ;;
        *"statically linked"* | *"static-pie linked"*) echo "$(stat -c %s "$binary") $binary" ;;
        *) fail "cannot tell whether $binary is static: $(file -b "$binary")" ;;
        esac
    done
done
