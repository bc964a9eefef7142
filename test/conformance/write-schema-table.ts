import { readFileSync, writeFileSync } from 'node:fs';
import { PAGE, withMatrix } from './schema-table.ts';

writeFileSync(PAGE, withMatrix(readFileSync(PAGE, 'utf8')));
