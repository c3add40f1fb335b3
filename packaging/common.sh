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

# Small before fast; see Cargo.toml.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=z

# What makes a static program smaller, as measured on the server for x86_64 musl:
#   no relocation         4 KB, and 85 KB with glibc; nothing of the program's data is rewritten at its start
#   compact SHA-256       9 KB: it hashes a secret a call, so its speed does not matter
SMALL_FLAGS='-C relocation-model=static --cfg sha2_backend="soft" --cfg sha2_backend_soft="compact"'
# The same on x86_64 only, 23 KB: the tables for unwinding have less to say. On the other processors it makes a program larger.
SMALL_X86_FLAGS='-C force-frame-pointers=yes'

# The default of every script.
TARGETS="x86_64 aarch64 armv7 armv6 riscv64"

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
