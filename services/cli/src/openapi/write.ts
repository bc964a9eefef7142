/** Writes the host's document: `npm run openapi` (and formats it). */
import { writeFileSync } from 'node:fs';
import { HOST_DOCUMENT_PATH } from '@tollgate/shared/runtime/host-document';
import { hostDocument } from './host.ts';

writeFileSync(HOST_DOCUMENT_PATH, `${JSON.stringify(hostDocument(), null, 2)}\n`);
