#!/usr/bin/env node
// Writes one JSON schema per kind that the chart uses: for a check without a network and without a cluster.
//
//   schemas.mjs DIR OUT        DIR: what tools.sh DIR definitions filled
//
// test/kube/schemas holds what it wrote; test/kube/helm.check.ts reads them.
//
// Sources: the OpenAPI v3 documents that Kubernetes publishes with its source, and the CRDs in DIR/crds.
// Unknown fields are refused; null is accepted for optional fields, as the API server does. CEL rules and cross-field checks
// are not in these schemas: only a server-side dry run sees them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const [dir, out] = process.argv.slice(2);
if (!out) throw new Error('usage: schemas.mjs DIR OUT');
mkdirSync(out, { recursive: true });

/** Kinds of the chart, with their version. */
const KINDS = new Map(
  Object.entries({
    ConfigMap: 'v1',
    Service: 'v1',
    PersistentVolumeClaim: 'v1',
    ServiceAccount: 'v1',
    Role: 'v1',
    RoleBinding: 'v1',
    Pod: 'v1',
    Deployment: 'v1',
    StatefulSet: 'v1',
    Job: 'v1',
    Ingress: 'v1',
    NetworkPolicy: 'v1',
    PodDisruptionBudget: 'v1',
    HorizontalPodAutoscaler: 'v2',
    HTTPRoute: 'v1',
    PodMonitor: 'v1',
    PrometheusRule: 'v1',
    ScaledObject: 'v1alpha1',
  }),
);

const PREFIX = '#/components/schemas/';

/** Closes objects to unknown fields and lets optional fields be null. */
function tighten(node) {
  if (Array.isArray(node)) return node.map(tighten);
  if (node === null || typeof node !== 'object') return node;
  const copy = {};
  for (const [key, value] of Object.entries(node)) {
    if (key === 'description' || key === 'default' || key.startsWith('x-kubernetes-')) continue;
    // Go's flags inside a pattern are unknown to JavaScript.
    if (key === 'pattern' && value.includes('(?i)')) continue;
    if (key === '$ref') copy.$ref = value.replace(PREFIX, '#/$defs/');
    else if (key === 'enum') copy.enum = value;
    else if (key === 'properties') {
      copy.properties = {};
      for (const [name, schema] of Object.entries(value)) {
        const inner = tighten(schema);
        copy.properties[name] = node.required?.includes(name) ? inner : { anyOf: [inner, { type: 'null' }] };
      }
    } else copy[key] = tighten(value);
  }
  if (
    node.properties &&
    node.additionalProperties === undefined &&
    !node['x-kubernetes-preserve-unknown-fields'] &&
    !node['x-kubernetes-embedded-resource']
  )
    copy.additionalProperties = false;
  return copy;
}

/** The definitions that a schema reaches, directly or not. */
function reach(schema, all, seen = {}) {
  for (const [, name] of JSON.stringify(schema).matchAll(/"#\/components\/schemas\/([^"]+)"/g))
    if (!seen[name]) {
      seen[name] = all[name];
      reach(all[name], all, seen);
    }
  return seen;
}

let count = 0;
function write({ group, version, kind }, schema, defs = {}) {
  if (!KINDS.has(kind) || version !== KINDS.get(kind)) return;
  const suffix = group ? `-${group.split('.')[0]}-${version}` : `-${version}`;
  const $defs = Object.fromEntries(Object.entries(defs).map(([name, def]) => [name, tighten(def)]));
  writeFileSync(join(out, `${kind}${suffix}.json`.toLowerCase()), JSON.stringify({ ...tighten(schema), $defs }));
  count++;
}

for (const file of readdirSync(join(dir, 'openapi'))) {
  const all = JSON.parse(readFileSync(join(dir, 'openapi', file), 'utf8')).components?.schemas ?? {};
  for (const schema of Object.values(all)) {
    const names = schema['x-kubernetes-group-version-kind'] ?? [];
    if (names.length === 1) write(names[0], schema, reach(schema, all)); // several names: DeleteOptions and its like, never in a chart
  }
}

for (const set of readdirSync(join(dir, 'crds')))
  for (const file of readdirSync(join(dir, 'crds', set))) {
    const path = join(dir, 'crds', set, file);
    const crd = parse(readFileSync(path, 'utf8'));
    for (const version of crd.spec.versions) {
      const schema = version.schema.openAPIV3Schema;
      Object.assign(schema.properties, {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: { type: 'object' },
      });
      write({ group: crd.spec.group, version: version.name, kind: crd.spec.names.kind }, schema);
    }
  }

process.stdout.write(`${count} schemas\n`);
