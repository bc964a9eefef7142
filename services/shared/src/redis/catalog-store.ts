import { catalogFromText } from '../contracts/console/published.ts';
import type { Catalog } from '../domain/catalog.ts';
import { globalKeys } from './keys.ts';
import type { CallGuard } from './money-context.ts';

interface CatalogClient {
  get(key: string): Promise<string | null>;
}

/** The published catalogue, or null when there is none. Throws when its text is none, or what the client throws. */
export async function readCatalog(client: CatalogClient, guard: CallGuard = (call) => call()): Promise<Catalog | null> {
  const text = await guard(() => client.get(globalKeys.catalog));
  return text === null ? null : catalogFromText(text);
}
