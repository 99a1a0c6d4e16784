#!/bin/sh
# Install the cross compiler and the emulator from Debian packages when they are missing.
# Usage: install-tools.sh PACKAGE...
set -eu

missing=""
command -v arm-none-eabi-gcc >/dev/null || missing=yes
command -v qemu-system-arm >/dev/null || missing=yes
command -v gcc >/dev/null || missing=yes
if [ -z "$missing" ] && arm-none-eabi-gcc -print-file-name=libc.a | grep -q /; then
  exit 0
fi

if [ "$(id -u)" = 0 ]; then
  sudo=""
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
  sudo="sudo"
else
  echo "trecx needs these Debian packages, and installing them needs root. Run once:" >&2
  echo "  sudo apt-get install --no-install-recommends gcc libc6-dev $*" >&2
  exit 1
fi
echo "installing $*"
$sudo apt-get update -qq
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  gcc libc6-dev "$@" >/dev/null
