/** Finds definitions without any finite document: recursion with no way out would run until the token limit. */
import type { EngineSchema } from './enforceable.ts';

/** Names under `$defs` from which no document can be completed. `['']` stands for the root. */
export function prune(root: EngineSchema): string[] {
  const defs = (root.$defs as Record<string, EngineSchema> | undefined) ?? {};
  const names = Object.keys(defs);
  const finite = new Set<string>();
  for (let grew = true; grew; ) {
    grew = false;
    for (const name of names) {
      if (finite.has(name) || !ends(defs[name]!, finite)) continue;
      finite.add(name);
      grew = true;
    }
  }
  const endless = names.filter((name) => !finite.has(name));
  return endless.length === 0 && !ends(root, finite) ? [''] : endless;
}

function ends(schema: EngineSchema, finite: ReadonlySet<string>): boolean {
  if (typeof schema.$ref === 'string') return finite.has(schema.$ref.slice('#/$defs/'.length));
  if (Array.isArray(schema.anyOf)) return (schema.anyOf as EngineSchema[]).some((each) => ends(each, finite));
  if (schema.type === 'object') {
    const properties = (schema.properties as Record<string, EngineSchema> | undefined) ?? {};
    return ((schema.required as string[] | undefined) ?? []).every((name) => ends(properties[name] ?? {}, finite));
  }
  if (schema.type !== 'array') return true;
  const least = (schema.minItems as number | undefined) ?? 0;
  const prefix = ((schema.prefixItems as EngineSchema[] | undefined) ?? []).slice(0, least);
  const rest = least <= prefix.length || typeof schema.items !== 'object' || ends(schema.items as EngineSchema, finite);
  return rest && prefix.every((each) => ends(each, finite));
}
