# The data plane: takes API requests, spends leases, forwards to GPU workers.
# Build from the project's root:  docker build -f infra/docker/router.Dockerfile -t tollgate/router .
# Node stands at the security floor or above (docs/internals.md); pin the base by digest in your own registry.
FROM node:26.13.0-bookworm-slim AS build
WORKDIR /src
# Manifests first: dependencies are one cached layer, whatever changes in the sources.
COPY package.json package-lock.json tsconfig.base.json ./
COPY services/cli/package.json services/cli/
COPY services/console/package.json services/console/
COPY services/dashboard/package.json services/dashboard/
COPY services/devworker/package.json services/devworker/
COPY services/metering/package.json services/metering/
COPY services/retrieval/package.json services/retrieval/
COPY services/router/package.json services/router/
COPY services/shared/package.json services/shared/
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY services/shared services/shared
COPY services/router services/router
RUN npx tsc -b services/router
# Only what this service needs to run; sources go, assets (.lua, .sql, .json) stay in src where the code reads them.
RUN npm ci --ignore-scripts --no-audit --no-fund --omit=dev --omit=optional --workspace @tollgate/router
RUN find services -path '*/src/*' -name '*.ts' -delete && find services -name '*.d.ts' -path '*/dist/*' -delete \
  # The embedded Postgres is for the local start alone.
  && rm -rf node_modules/@electric-sql

FROM node:26.13.0-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
# Nothing in the image needs a package manager; the state folder is the only place that is written.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-* \
  && mkdir -p /var/lib/tollgate && chown node:node /var/lib/tollgate
COPY --from=build /src/package.json ./
COPY --from=build /src/node_modules node_modules
COPY --from=build /src/services/shared services/shared
COPY --from=build /src/services/router services/router
USER node
EXPOSE 8080 9100
# A request's garbage dies young: a nursery of 16 to 32 MiB from the start takes 5 to 8 % off the CPU of a request, and
# nothing is paid in memory (64 MiB: as much CPU, half as much memory again for each stream). Baseline code from a
# function's first call instead of its interpretation takes another tenth off streams, whose requests find cold caches.
CMD ["node", "--enable-source-maps", "--always-sparkplug", "--min-semi-space-size=16", "--max-semi-space-size=32", "services/router/dist/main.js"]
