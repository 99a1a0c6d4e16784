#!/bin/sh
# Install from Debian packages what is missing: the cross compiler, the emulator, and Python's venv.
# Usage: PYTHON=python3 install-tools.sh PACKAGE...
set -eu

have() {
  command -v "$1" >/dev/null
}

have_tools() {
  have gcc && have qemu-system-arm && have arm-none-eabi-gcc &&
    arm-none-eabi-gcc -print-file-name=libc.a | grep -q /
}

packages=""
have_tools || packages="gcc libc6-dev $*"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || packages="$packages python3-venv"
[ -n "$packages" ] || exit 0

if ! have apt-get; then
  echo "trecx needs what these Debian packages hold; install it as your system does: $packages" >&2
  exit 1
fi
if [ "$(id -u)" = 0 ]; then
  sudo=""
elif have sudo && sudo -n true 2>/dev/null; then
  sudo="sudo"
else
  echo "trecx needs these Debian packages, and installing them needs root. Run once:" >&2
  echo "  sudo apt-get install --no-install-recommends $packages" >&2
  exit 1
fi
echo "installing $packages"
$sudo apt-get update -qq
# shellcheck disable=SC2086  # the list is meant to be split
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  $packages >/dev/null
