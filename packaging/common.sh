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

# For cargo: the standard library is built with the program. The features leave out its reader of debug information, for
# which a stripped program has no use: 300 KB less.
STD_FROM_SOURCE=("-Zbuild-std=std,panic_unwind" "-Zbuild-std-features=panic-unwind,optimize_for_size")

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

# small_build TRIPLE RUSTFLAGS COMMAND…: a build by COMMAND, which is cargo or a kin of it. Sizes are those of server and client
# for x86_64 musl. Some of the flags are not yet stable.
small_build() {
    local for=$1 flags=$2 tree crates crate quiet='"-Zlocation-detail=none"'
    shift 2
    # Nothing of the program's data is rewritten at its start: 4 KB, and 85 KB with glibc. SHA-256 hashes a secret a call, so its
    # speed does not matter: 9 KB.
    flags+=' -C relocation-model=static --cfg sha2_backend="soft" --cfg sha2_backend_soft="compact"'
    # With frame pointers the tables for unwinding have less to say, on x86_64: 23 KB, and 12 and 17 KB more where functions
    # that call none go without. On the other processors they make a program larger.
    case $for in x86_64-*) flags+=' -Z unstable-options -C force-frame-pointers=non-leaf' ;; esac
    # At opt-level "z" LLVM inlines too little even for size: 20 and 40 KB less with this threshold than with the usual 5.
    # Across crates rustc inlines too much: 2 and 4 KB. Tables in place of branches are good for speed only: 5 and 9 KB.
    flags+=' -C llvm-args=-inline-threshold=10 -Z cross-crate-inline-threshold=20'
    flags+=' -C llvm-args=-min-jump-table-entries=12 -C llvm-args=-switch-to-lookup=false'
    # A panic in a dependency or in std names no line, 14 KB; its addresses are in the log. What dependencies would write of
    # themselves for their developers, in logs of theirs that are never shown, 6 and 14 KB; what std says of an error stays.
    set -- "$@" --release --locked --target "$for" -Zprofile-rustflags \
        --config "profile.release.package.\"*\".rustflags=[$quiet]"
    tree=$(cargo tree --package chat-rpc --locked --edges normal --prefix none --format '{p}' --target "$for")
    mapfile -t crates < <(cut -d ' ' -f 1 <<<"$tree" | sort -u | grep -vx chat-rpc)
    for crate in "${crates[@]}"; do
        set -- "$@" --config "profile.release.package.$crate.rustflags=[$quiet,\"-Zfmt-debug=none\"]"
    done
    # Small before fast: see Cargo.toml.
    env CARGO_PROFILE_RELEASE_OPT_LEVEL=z RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" "$@"
}
