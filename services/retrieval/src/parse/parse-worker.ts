/** The thread in which files are parsed: what a parser does wrong with a hostile file, it does in here. */
import { parentPort } from 'node:worker_threads';
import { type Chunk, chunkBlocks } from '../chunk/chunker.ts';
import { type ParseLimits, UnreadableFile } from './block.ts';
import { parseFile } from './kinds.ts';

export interface ParseJob {
  filename: string;
  bytes: Uint8Array;
  limits: ParseLimits;
  chunkTokens: number;
  overlapTokens: number;
  maxChunks: number;
}
export type ParseReply = { ok: true; chunks: Chunk[] } | { ok: false; code: string; message: string };

// Parsers warn about odd files on the console: with words of the file.
process.stdout.write = () => true;
process.stderr.write = () => true;

parentPort?.on('message', async (job: ParseJob) => {
  let reply: ParseReply;
  try {
    const blocks = await parseFile(job.filename, job.bytes, job.limits);
    const chunks = chunkBlocks(blocks, job);
    if (chunks.length > job.maxChunks) {
      throw new UnreadableFile('file_too_large', `the file makes ${chunks.length} chunks; at most ${job.maxChunks}`);
    }
    reply = { ok: true, chunks };
  } catch (error) {
    const known = error instanceof UnreadableFile;
    // A parser's own message may quote the file.
    reply = {
      ok: false,
      code: known ? error.code : 'invalid_file',
      message: known ? error.message : 'the file cannot be parsed',
    };
  }
  parentPort?.postMessage(reply);
});
