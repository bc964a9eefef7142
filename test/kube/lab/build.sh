#!/usr/bin/env bash
# Builds a real Kubernetes control plane from Go modules into one directory: no container engine, no image, no root.
#
#   build.sh DIR
#
# DIR/bin       etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok
# DIR/lab/crds  gateway-api, prometheus-operator and KEDA resource definitions
# DIR/lab/kwok  stages that bind PersistentVolumeClaims
#
# Needs Go >= 1.26 and a Go module proxy; nothing else. Seven minutes from nothing, two seconds when it is there: a
# finished step is skipped, so DIR is worth caching between runs (key: go.sum + ../tools/versions.sh).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 1 ] || { sed -n 2,11p "$0" >&2; exit 2; }
mkdir -p "$1/bin"
dir=$(cd "$1" && pwd)
. "$here/../tools/versions.sh"
export GOWORK=off CGO_ENABLED=0
step() { # step NAME KEY COMMAND...: runs COMMAND once for each value of KEY
  local name=$1 key=$2 stamp="$dir/.done-$1" t0=$SECONDS; shift 2
  [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
  "$@"
  echo "$key" > "$stamp"
  echo "$name: $((SECONDS - t0)) s"
}

control_plane() (
  cd "$here"
  minor=${KUBE_VERSION#v1.}; minor=${minor%%.*}
  # Without these the server calls itself v0.0.0-master, and `kubeVersion:` in Chart.yaml and helm's capabilities go wrong.
  ld="-s -w"
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    ld+=" -X $p.gitVersion=$KUBE_VERSION -X $p.gitMajor=1 -X $p.gitMinor=$minor -X $p.gitTreeState=clean"
  done
  go build -mod=readonly -buildvcs=false -trimpath -ldflags "$ld" -o "$dir/bin/" ./etcd \
    k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubectl} sigs.k8s.io/kwok/cmd/kwok
)
module() { go mod download -json "$1" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }
put() { mkdir -p "$1"; install -m 644 "${@:2}" "$1/"; }
definitions() (
  cd "$here"
  rm -rf "$dir/lab"
  gw=$(module "sigs.k8s.io/gateway-api@$GATEWAY_API_VERSION")
  put "$dir/lab/crds/gateway-api" "$gw"/config/crd/standard/gateway.networking.k8s.io_{gatewayclasses,gateways,httproutes,grpcroutes,referencegrants,backendtlspolicies}.yaml
  po=$(module "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION")
  put "$dir/lab/crds/prometheus-operator" "$po"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,podmonitors,prometheusrules,probes}.yaml
  keda=$(module "github.com/kedacore/keda/v2@$KEDA_VERSION")
  put "$dir/lab/crds/keda" "$keda"/config/crd/bases/keda.sh_{scaledobjects,triggerauthentications,clustertriggerauthentications}.yaml
  put "$dir/lab/kwok" "$(module "sigs.k8s.io/kwok@$(go list -m -f '{{.Version}}' sigs.k8s.io/kwok)")"/kustomize/stage/volume/fast/{storage-class,pv-bind,pv-delete,pvc-provision,pvc-delete}.yaml
)

sum=$(cat "$here/go.sum" "$here/../tools/versions.sh" "$here/build.sh" | sha256sum | cut -c1-16)
step lab-definitions "$sum" definitions
step control-plane "$sum" control_plane
