#!/usr/bin/env bash
# Writes an image that docker, podman or buildah built as an archive that containerd reads.
#   save.sh IMAGE FILE
set -euo pipefail
cd "$(dirname "$0")"

builder=$(./builder.sh)
rm -f "$2"
case $builder in
  buildah) buildah push -q "$1" "docker-archive:$2:$1" ;;
  *) "$builder" save -o "$2" "$1" ;;
esac
