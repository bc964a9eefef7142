import { vllmFolder } from './config.ts';

process.stdout.write(vllmFolder);
