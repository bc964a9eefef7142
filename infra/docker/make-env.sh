#!/bin/sh
# Writes .env beside docker-compose.yml with fresh secrets. Run once; it never overwrites.
set -eu
cd "$(dirname "$0")/../.."
if [ -e .env ]; then
  echo ".env exists already: nothing written" >&2
  exit 1
fi
# 32 random bytes as hexadecimal: safe inside URLs.
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
umask 077
cat > .env <<EOF
# Secrets of this installation. Keep TOLLGATE_KEY_PEPPER for good: with another one no key is known any more.
COMPOSE_PROFILES=devworker
POSTGRES_PASSWORD=$(secret)
REDIS_PASSWORD=$(secret)
TOLLGATE_KEY_PEPPER=$(secret)
TOLLGATE_ADMIN_TOKEN=$(secret)
TOLLGATE_SERVICE_TOKEN=$(secret)
GRAFANA_ADMIN_PASSWORD=$(secret)
EOF
echo "wrote .env (mode 600)"
