/** The OpenAPI document of the API's host, as `npm run openapi` wrote it: routers and consoles serve the same text. */
import { readSharedAsset, sharedAssetPath } from './assets.ts';

const FILE = 'contracts/host/openapi.json';
export const HOST_DOCUMENT_PATH = sharedAssetPath(FILE);

/** JSON text. */
export function hostDocumentText(): string {
  return JSON.stringify(JSON.parse(readSharedAsset(FILE)));
}
