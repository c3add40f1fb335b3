#!/bin/bash
# Makes a release: packaging/release.sh VERSION [TARGET…], without a TARGET all that packaging/build-static.sh knows.
#
# dist/ then holds the programs of each target, Debian packages, the OpenWrt package's folder, a bill of materials, how
# each target was built, and the checksums of all of it. The same commit gives the same bytes wherever it is checked out,
# as long as each target is built the same way (BUILD says which: see build-static.sh).
set -euo pipefail

cd "$(dirname "$0")/.."
# shellcheck source=packaging/common.sh
. packaging/common.sh
dist=$PWD/dist

fail() {
    echo "release: $*" >&2
    exit 1
}

[ $# -gt 0 ] || fail "usage: $0 VERSION [TARGET…]"
version=$1
shift
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $TARGETS
grep -qx "version = \"$version\"" Cargo.toml || fail "Cargo.toml is of another version than $version"
grep -qx "PKG_VERSION:=$version" packaging/openwrt/Makefile || fail "packaging/openwrt/Makefile is of another version than $version"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"

SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# The programs come out 300 KB smaller than with the standard library as rustup has it.
export WAY=${WAY:-source}
rm -rf "$dist"
mkdir -p "$dist"

# pack FOLDER FILE: a folder as tar.gz, without a trace of who packed it and when.
pack() {
    tar --create --directory "$(dirname "$1")" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
        --numeric-owner --mode=u=rwX,go=rX "$(basename "$1")" | gzip --no-name --best >"$2"
}

packaging/build-static.sh "$@" | tee >(cat >&2) | sed -n 's/^build-static: //p' >"$dist/BUILD"

triples=()
openwrt=$(mktemp -d)
trap 'rm -rf "$openwrt"' EXIT
cp -r packaging/openwrt "$openwrt/chat-rpc"
for target in "$@"; do
    triple=$(triple "$target")
    triples+=("$triple")
    mkdir -p "$openwrt/chat-rpc/bin/$target"
    for program in binder server client; do
        install -m 755 "target/$triple/release/$program" "$dist/chat-$program-$version-$target"
        install -m 755 "target/$triple/release/$program" "$openwrt/chat-rpc/bin/$target/chat-$program"
    done
    # Debian has one name for both 32-bit targets, and what is built for the older processor runs on the newer.
    if [ "$target" != armv7 ]; then packaging/build-deb.sh "$target" "$dist"; fi
done
pack "$openwrt/chat-rpc" "$dist/chat-rpc-$version-openwrt.tar.gz"

also=("--also=musl=$MUSL")
for rust in "$RUSTUP_RUST" "$DEBIAN_RUST"; do
    if grep -q "Rust $rust" "$dist/BUILD"; then also+=("--also=rust-std=$rust"); fi
done
python3 packaging/sbom.py "${also[@]}" "${triples[@]}" >"$dist/chat-rpc-$version.cdx.json"

cd "$dist"
sha256sum -- * >SHA256SUMS.new
mv SHA256SUMS.new SHA256SUMS
cat SHA256SUMS
