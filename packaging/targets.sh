# shellcheck shell=bash
# Sourced by the scripts beside it: what a target is called here, by Rust and by Debian.

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
