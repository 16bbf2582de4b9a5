#!/usr/bin/env bash
# Writes an image that docker, podman or buildah built to the standard output, as an archive that
# containerd reads. Images are gigabytes: they go through a pipe and need no room on a disk.
#   save.sh IMAGE
set -euo pipefail
cd "$(dirname "$0")"

builder=$(./builder.sh)
case $builder in
  buildah) buildah push -q "$1" "docker-archive:/dev/stdout:$1" ;;
  *) "$builder" save "$1" ;;
esac
