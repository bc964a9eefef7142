#!/usr/bin/env bash
# Installs the gateway-api, prometheus-operator and KEDA definitions into the cluster of $KUBECONFIG, and waits until they are served.
#
#   install-crds.sh DIR [gateway-api|prometheus-operator|keda ...]     default: all three
set -euo pipefail
[ $# -ge 1 ] || { sed -n 2,4p "$0" >&2; exit 2; }
dir=$(cd "$1" && pwd); shift
[ $# -gt 0 ] || set -- gateway-api prometheus-operator keda
for set in "$@"; do
  # Server-side: the larger definitions do not fit in the last-applied annotation.
  "$dir/bin/kubectl" apply --server-side -f "$dir/lab/crds/$set" >/dev/null
done
"$dir/bin/kubectl" wait --for condition=Established crd --all --timeout 30s >/dev/null
echo "$("$dir/bin/kubectl" get crd -o name | wc -l) definitions"
