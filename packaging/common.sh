# shellcheck shell=bash
# Sourced by the scripts beside it: pinned versions, the targets and their names.
# shellcheck disable=SC2034

# What builds and packs; a release is the same bytes only with the same of these.
RUSTUP_RUST=1.95.0
DEBIAN_RUST=1.96.0
ZIGLANG=0.15.2
CARGO_ZIGBUILD=0.24.0
CARGO_DEB=3.8.0
# The C library that rustup's standard library and zig bring along, both the same.
MUSL=1.2.5

# The default of every script.
TARGETS="x86_64 aarch64 armv7 armv6 riscv64"

# The standard library is built with the program, which cargo does not yet call stable. The features leave out its reader of
# debug information, for which a stripped program has no use: 300 KB less.
STD_FROM_SOURCE=("-Zbuild-std=std,panic_unwind" "-Zbuild-std-features=panic-unwind,optimize_for_size")
# Flags that are not stable either: 64, 87 and 117 KB less of a binder of 827, a server of 1,121 and a client of 1,711, which
# without them are too large for their ceilings. LLVM inlines too much for size (14, 18 and 20 KB of these), a panic names no line
# (the addresses in the log do), and with frame pointers the tables for unwinding have less to say.
SMALLER="-C llvm-args=-inline-threshold=10 -Z location-detail=none -Z unstable-options -C force-frame-pointers=non-leaf"

# triple TARGET: Rust's name of a target; fails for one that is not known.
triple() {
    case $1 in
    x86_64) echo x86_64-unknown-linux-musl ;;
    aarch64) echo aarch64-unknown-linux-musl ;;
    armv7) echo armv7-unknown-linux-musleabihf ;;
    armv6) echo arm-unknown-linux-musleabihf ;;
    riscv64) echo riscv64gc-unknown-linux-musl ;;
    *)
        echo "no such target: $1 (known: $TARGETS)" >&2
        return 1
        ;;
    esac
}

# small_build TRIPLE RUSTFLAGS COMMAND…: a build by COMMAND, which is cargo or a kin of it.
small_build() {
    local for=$1 flags=$2
    shift 2
    # Addresses are fixed, so that nothing of the program's data is rewritten at its start. Small before fast: see Cargo.toml.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=z RUSTFLAGS="$flags -C relocation-model=static" "$@" --release --locked --target "$for"
}
