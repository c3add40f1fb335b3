#!/bin/bash
# Tries the OpenWrt package as far as that goes without its SDK: packaging/test-openwrt.sh DIRECTORY, where DIRECTORY
# holds binder, server and client for this machine. The Makefile installs with stand-ins for OpenWrt's rules, and the
# init script runs in busybox's shell with stand-ins for procd and UCI; the programs it names are talked to. procd
# itself, its limits and its respawning are not tried.
set -euo pipefail

cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cp -r packaging/openwrt "$scratch/package"
mkdir -p "$scratch/package/bin/x86_64" "$scratch/include"
for program in binder server client; do
    cp "$1/$program" "$scratch/package/bin/x86_64/chat-$program"
done
cat >"$scratch/rules.mk" <<'MAKE'
INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_CONF:=install -m0600
MAKE
cat >"$scratch/include/package.mk" <<'MAKE'
define BuildPackage
all:
	$(call Package/$(1)/install,$(TOPDIR)/root)
endef
MAKE
make --silent -C "$scratch/package" TOPDIR="$scratch" ARCH=x86_64
(cd "$scratch/root" && find . -type f | sort)

# What procd would be told, one instance a line.
cat >"$scratch/procd.sh" <<'SHELL'
config_load() { config_file=$scratch/root/etc/config/$1; }
config_foreach() {
    for section in $(sed -n "s/^config $2 '\(.*\)'/\1/p" "$config_file"); do "$1" "$section"; done
}
uci_get() {
    sed -n "/^config .* '$1'/,/^$/s/^\toption $2 '\(.*\)'/\1/p" "$config_file"
}
config_get() { eval "$1=\$(uci_get $2 $3)"; }
config_get_bool() { config_get "$@"; }
procd_open_instance() { :; }
procd_set_param() { if [ "$1" = command ]; then shift; echo "$@"; fi; }
procd_close_instance() { :; }
SHELL
# shellcheck disable=SC2016
commands=$(env scratch="$scratch" busybox sh -eu -c '. $scratch/procd.sh; . $scratch/root/etc/init.d/chat; start_service')
echo "$commands"
[ "$commands" = "/usr/bin/chat-binder --listen 127.0.0.1:5000
/usr/bin/chat-server --listen 127.0.0.1:9000 --binder 127.0.0.1:5000" ]
python3 packaging/converse.py --prefix chat- "$scratch/root/usr/bin" answers conversation
