#!/usr/bin/env bash
# Starts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok on 127.0.0.1 and waits until pods can run.
#
#   up.sh DIR STATE        DIR: what build.sh filled; STATE: a directory for data, keys, logs and pid files
#
# Then: export KUBECONFIG=STATE/kubeconfig PATH=DIR/bin:$PATH
# LAB_PORT (default 16443) and the five ports after it are used, so that several clusters can stand side by side.
# LAB_NODES (default 2) fake nodes of 8 CPU, 64 GiB, 8 nvidia.com/gpu; pod addresses 10.244.<node>.x.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || { sed -n 2,9p "$0" >&2; exit 2; }
dir=$(cd "$1" && pwd); mkdir -p "$2/log" "$2/pid" "$2/pki"; state=$(cd "$2" && pwd)
port=${LAB_PORT:-16443}; nodes=${LAB_NODES:-2}
if ls "$state"/pid/* >/dev/null 2>&1; then "$here/down.sh" "$state"; fi
rm -rf "$state/etcd" "$state/log"; mkdir "$state/log"          # always an empty cluster
pki=$state/pki; umask 077

[ -s "$pki/sa.key" ] || openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
[ -s "$pki/token" ] || openssl rand -hex 16 > "$pki/token"
echo "$(cat "$pki/token"),lab-admin,lab-admin,system:masters" > "$pki/tokens.csv"
if ! [ -s "$pki/tls.crt" ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/tls.key" -out "$pki/tls.crt" -days 3650 -subj /CN=kube-lab \
    -addext 'subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc' 2>/dev/null
fi
cat > "$state/kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: lab
contexts: [{name: lab, context: {cluster: lab, user: lab-admin}}]
clusters: [{name: lab, cluster: {server: "https://127.0.0.1:$port", certificate-authority-data: $(base64 -w0 "$pki/tls.crt")}}]
users: [{name: lab-admin, user: {token: $(cat "$pki/token")}}]
YAML
export KUBECONFIG=$state/kubeconfig

start() { # start NAME ARGS...
  local name=$1; shift
  setsid "$dir/bin/$name" "$@" > "$state/log/$name.log" 2>&1 < /dev/null &
  echo $! > "$state/pid/$name"
}
alive() { kill -0 "$(cat "$state/pid/$1")" 2>/dev/null; }
wait_for() { # wait_for SECONDS PROCESS COMMAND...
  local until=$((SECONDS + $1)) name=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    if ! alive "$name" || [ $SECONDS -ge $until ]; then echo "$name did not come up:" >&2; tail -n 15 "$state/log/$name.log" >&2; exit 1; fi
    sleep 0.2
  done
}
get() { curl -fsS --cacert "$pki/tls.crt" -H "Authorization: Bearer $(cat "$pki/token")" "https://127.0.0.1:$port$1"; }
kubectl() { "$dir/bin/kubectl" "$@"; }

trap '"$here/down.sh" "$state"' EXIT                             # until everything is ready
start etcd --name lab --data-dir "$state/etcd" --unsafe-no-fsync --log-level error \
  --listen-client-urls "http://127.0.0.1:$((port + 1))" --advertise-client-urls "http://127.0.0.1:$((port + 1))" \
  --listen-peer-urls "http://127.0.0.1:$((port + 2))" --initial-advertise-peer-urls "http://127.0.0.1:$((port + 2))" \
  --initial-cluster "lab=http://127.0.0.1:$((port + 2))"
start kube-apiserver --etcd-servers "http://127.0.0.1:$((port + 1))" \
  --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$port" --endpoint-reconciler-type none \
  --tls-cert-file "$pki/tls.crt" --tls-private-key-file "$pki/tls.key" \
  --token-auth-file "$pki/tokens.csv" --authorization-mode RBAC --anonymous-auth=false \
  --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/sa.key" --service-account-signing-key-file "$pki/sa.key" \
  --service-cluster-ip-range 10.96.0.0/16 --allow-privileged
wait_for 60 kube-apiserver get /readyz
start kube-controller-manager --kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 --secure-port $((port + 3)) --leader-elect=false \
  --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/tls.crt"
start kube-scheduler --kubeconfig "$KUBECONFIG" --bind-address 127.0.0.1 --secure-port $((port + 4)) --leader-elect=false
stages=(--config "$here/kwok.yaml")
for f in "$dir"/lab/kwok/p*.yaml; do stages+=(--config "$f"); done
start kwok --kubeconfig "$KUBECONFIG" --manage-all-nodes --node-ip 127.0.0.1 --server-address "127.0.0.1:$((port + 5))" \
  --node-lease-duration-seconds 40 "${stages[@]}"

for i in $(seq 1 "$nodes"); do
  cat <<YAML
apiVersion: v1
kind: Node
metadata:
  name: gpu-$i
  labels: {kubernetes.io/hostname: gpu-$i, kubernetes.io/os: linux, kubernetes.io/arch: amd64, topology.kubernetes.io/zone: zone-$i, nvidia.com/gpu.present: "true"}
spec: {podCIDR: 10.244.$i.0/24, podCIDRs: [10.244.$i.0/24]}
status:
  addresses: [{type: InternalIP, address: 10.244.0.$i}, {type: Hostname, address: gpu-$i}]
  capacity: &size {cpu: "8", memory: 64Gi, pods: "110", ephemeral-storage: 500Gi, nvidia.com/gpu: "8"}
  allocatable: *size
---
YAML
done | kubectl create -f - >/dev/null
kubectl create -f "$dir/lab/kwok/storage-class.yaml" >/dev/null
wait_for 30 kwok kubectl wait --for condition=Ready node --all --timeout 1s
wait_for 30 kube-controller-manager kubectl get serviceaccount default -n default
wait_for 30 kube-scheduler curl -fsSk "https://127.0.0.1:$((port + 4))/readyz"
trap - EXIT
echo "ready in $SECONDS s: export KUBECONFIG=$KUBECONFIG PATH=$dir/bin:\$PATH"
