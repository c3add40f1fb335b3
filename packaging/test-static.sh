#!/bin/bash
# Tries the static builds: packaging/test-static.sh [TARGET…], without one all that packaging/build-static.sh knows.
#
# Each program runs under the emulator of its processor, as old a one as the target promises, and is talked to. What
# fits a router (armv7, aarch64) holds the whole conversation there. The x86_64 build does so in an empty root: no
# /etc, no /proc, no libraries. Sizes have ceilings. Clocks: past 2038 for the 32-bit build, and one that jumps from
# 1970 to today.
#
# Needs qemu-user-static, and qemu-user with libfaketime for the clocks.
set -euo pipefail

# Bytes.
BINDER_CEILING=800000
SERVER_CEILING=1200000
CLIENT_CEILING=1600000
# The instructions of riscv64 take more room.
RISCV64_CLIENT_CEILING=1670000

cd "$(dirname "$0")/.."
# shellcheck source=packaging/common.sh
. packaging/common.sh
converse=packaging/converse.py
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "test-static: $*" >&2
    exit 1
}

ceiling() {
    size=$(stat -c %s "$1")
    [ "$size" -le "$2" ] || fail "$1 has $size bytes, more than $2"
    echo "  $size of at most $2 bytes: $(basename "$1")"
}

# The static emulators make system calls of their own; the dynamic ones go through libc, where libfaketime sits. What
# they run sees the wrong time through its own system calls, and only the time of day is wrong.
faked() {
    libfaketime=$(find /usr/lib -name libfaketime.so.1 | head -n 1)
    [ -n "$libfaketime" ] || fail "libfaketime is missing: apt-get install libfaketime"
    echo "env TZ=UTC LD_PRELOAD=$libfaketime FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1 $*"
}

# The attacks, the limits and the floods: withstand DIRECTORY [EMULATOR]. One flood is left out under an emulator, which takes memory of its
# own for what it translates.
withstand() {
    TEST_PROGRAMS=$1 TEST_RUNNER=${2:-} cargo test --quiet --test attacks --test limits
    TEST_PROGRAMS=$1 TEST_RUNNER=${2:-} cargo test --quiet --test floods -- ${2:+--skip answers_that_nobody_reads}
}

try() {
    directory=$PWD/target/$(triple "$1")/release
    echo "$1:"
    ceiling "$directory/binder" $BINDER_CEILING
    ceiling "$directory/server" $SERVER_CEILING
    case $1 in
    riscv64) ceiling "$directory/client" $RISCV64_CLIENT_CEILING ;;
    *) ceiling "$directory/client" $CLIENT_CEILING ;;
    esac
    case $1 in
    x86_64)
        mkdir "$scratch/root"
        cp "$directory"/{binder,server,client} "$scratch/root"
        python3 $converse --run "unshare --map-root-user --root=$scratch/root" / answers conversation
        withstand "$directory"
        python3 $converse --run "$(faked FAKETIME_TIMESTAMP_FILE="$scratch/clock" qemu-x86_64)" "$directory" \
            "jump=$scratch/clock"
        ;;
    aarch64)
        python3 $converse --run "qemu-aarch64-static -cpu cortex-a53" "$directory" answers conversation
        withstand "$directory" "qemu-aarch64-static -cpu cortex-a53"
        ;;
    armv7)
        python3 $converse --run "qemu-arm-static -cpu cortex-a7" "$directory" answers conversation
        withstand "$directory" "qemu-arm-static -cpu cortex-a7"
        python3 $converse --run "$(faked FAKETIME="'@2038-01-19 03:14:03'" qemu-arm -cpu cortex-a7)" "$directory" \
            "past=2038-01-19 03:14:08"
        ;;
    armv6) python3 $converse --run "qemu-arm-static -cpu arm1176" "$directory" answers ;;
    riscv64) python3 $converse --run qemu-riscv64-static "$directory" answers ;;
    esac
}

# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $TARGETS
for target in "$@"; do
    try "$target"
done
