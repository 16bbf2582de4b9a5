#!/usr/bin/env bash
# Makes a base image out of Debian's packages, where no image registry can be reached.
#   stand-in.sh BUILDER IMAGE
set -euo pipefail

builder=$1 image=$2
if [[ $(id -u) != 0 ]] || ! command -v debootstrap >/dev/null; then
  echo "error: no base image: pull one, name one with BASE_IMAGE=..., or, as root on Debian," \
    "apt-get install debootstrap" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
chmod 755 "$work"
echo "making $image from Debian's packages: about a minute"
if ! debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
  bookworm "$work/root" ${DEBOOTSTRAP_MIRROR:+"$DEBOOTSTRAP_MIRROR"} >"$work/log" 2>&1; then
  tail -n 15 "$work/log" >&2
  exit 1
fi
rm -rf "$work/root/var/cache/apt/archives"/*.deb "$work/root/var/lib/apt/lists"/*
# The name resolution of this machine, which debootstrap copied, is not the image's.
rm -f "$work/root/etc/resolv.conf"
case $builder in
  buildah)
    container=$(buildah from scratch)
    buildah copy -q "$container" "$work/root" / >/dev/null
    buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
    buildah commit -q --rm "$container" "$image" >/dev/null
    ;;
  *) tar -C "$work/root" -c . | "$builder" import - "$image" >/dev/null ;;
esac
