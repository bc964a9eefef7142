/** Which service answers which path of the API's host, and what a key with scopes must have for it. */
import type { HostPath } from './contract/profile-file.ts';

export type ServiceName = 'console' | 'metering' | 'retrieval';

export interface ServicePath {
  /** Below a contract's base; what lies under it goes to the same service. */
  path: string;
  /** The profile's word for it. */
  in: HostPath;
  service: ServiceName;
  scope: string;
}

export const SERVICE_PATHS: readonly ServicePath[] = [
  { path: '/usage', in: '/usage', service: 'console', scope: 'usage' },
  { path: '/key/history', in: '/usage', service: 'console', scope: 'usage' },
  { path: '/requests', in: '/requests', service: 'console', scope: 'usage' },
  { path: '/files', in: '/files', service: 'console', scope: 'files' },
  { path: '/batches', in: '/batches', service: 'metering', scope: 'batches' },
  { path: '/vector_stores', in: '/vector_stores', service: 'retrieval', scope: 'vector_stores' },
];

/** Dots that some server behind might resolve: what was checked here would not be what is answered there. */
export function hasDots(path: string): boolean {
  return /(?:^|\/)(?:\.|%2e){1,2}(?:\/|\?|$)/i.test(path);
}
