#!/usr/bin/env bash
# Builds the tools that test the chart, from Go modules, into one directory.
#
#   tools.sh DIR [helm3] [helm-unittest] [definitions]
#
# DIR/bin      helm (+ the extras named)
# DIR/crds, DIR/openapi  (definitions) what schemas.mjs makes test/kube/schemas of
#
# Needs Go >= 1.26 and a Go module proxy; nothing else. Idempotent: a finished step is skipped, so DIR is worth caching.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 2,9p "$0" >&2; exit 2; }
mkdir -p "$1/bin"
dir=$(cd "$1" && pwd); shift
. "$here/versions.sh"
export GOWORK=off CGO_ENABLED=0
step() { # step NAME KEY COMMAND...: runs COMMAND once for each value of KEY
  local name=$1 key=$2 stamp="$dir/.done-$1" t0=$SECONDS; shift 2
  [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
  "$@"
  echo "$key" > "$stamp"
  echo "$name: $((SECONDS - t0)) s"
}

tool() { GOBIN="$dir/bin" go install -trimpath -ldflags "-s -w" "$1"; }
helm3() { # into its own directory first: both majors call their binary helm
  local ld="-s -w" p minor=${KUBE_VERSION#v1.}                       # otherwise `helm3 template` takes the cluster for a v1.20
  for p in chartutil lint/rules; do
    ld+=" -X helm.sh/helm/v3/pkg/$p.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/$p.k8sVersionMinor=${minor%%.*}"
  done
  GOBIN="$dir/helm3" go install -trimpath -ldflags "$ld" "helm.sh/helm/v3/cmd/helm@$HELM3_VERSION"
  mv "$dir/helm3/helm" "$dir/bin/helm3" && rmdir "$dir/helm3"
}
unittest() { # has a replace directive, so `go install pkg@version` refuses it; built as its own main module instead
  go build -C "$(module "github.com/helm-unittest/helm-unittest@$HELM_UNITTEST_VERSION")" -buildvcs=false -trimpath -ldflags "-s -w" -o "$dir/bin/" ./cmd/helm-unittest
}
module() { (cd "$dir" && go mod download -json "$1") | sed -n 's/.*"Dir": "\(.*\)".*/\1/p'; }
put() { mkdir -p "$1"; install -m 644 "${@:2}" "$1/"; }
definitions() (
  rm -rf "$dir/crds" "$dir/openapi"
  gw=$(module "sigs.k8s.io/gateway-api@$GATEWAY_API_VERSION")
  put "$dir/crds/gateway-api" "$gw"/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml
  po=$(module "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR_VERSION")
  put "$dir/crds/prometheus-operator" "$po"/example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,prometheusrules}.yaml
  keda=$(module "github.com/kedacore/keda/v2@$KEDA_VERSION")
  put "$dir/crds/keda" "$keda"/config/crd/bases/keda.sh_scaledobjects.yaml
  put "$dir/openapi" "$(module "k8s.io/kubernetes@$KUBE_VERSION")"/api/openapi-spec/v3/*.json
)

step helm "$HELM_VERSION" tool "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
for extra in "$@"; do
  case $extra in
    helm3) step helm3 "$HELM3_VERSION $KUBE_VERSION" helm3 ;;
    helm-unittest) step helm-unittest "$HELM_UNITTEST_VERSION" unittest ;;
    definitions) step definitions "$KUBE_VERSION $GATEWAY_API_VERSION $PROMETHEUS_OPERATOR_VERSION $KEDA_VERSION" definitions ;;
    *) echo "unknown extra: $extra" >&2; exit 2 ;;
  esac
done
