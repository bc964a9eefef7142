/** The fixed corpus with the look-alike's embeddings; `npm run study:retrieval` prints the same figures. */
import { expect, test } from '@jest/globals';
import { embedText } from '@tollgate/devworker/http/embeddings';
import { openDatabase } from '@tollgate/shared/db/client';
import { migrateRetrieval } from '@tollgate/shared/db/retrieval/migrate';
import { startPglite } from '@tollgate/shared/testkit/postgres';
import { askAll, questions } from './corpus.ts';

test('sixty questions: hybrid search finds at least what both of its parts find alone', async () => {
  expect(questions()).toHaveLength(60);
  const database = await startPglite();
  const db = openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' });
  try {
    await migrateRetrieval(db);
    const vectors = async (texts: readonly string[]) => texts.map((text) => embedText(text, 1_024));
    const { scores } = await askAll(db, vectors, { id: 'look-alike', dimensions: 1_024 });
    expect(scores.hybrid.recall5).toBeGreaterThanOrEqual(Math.max(scores.vector.recall5, scores.text.recall5));
    expect(scores.hybrid.recall5).toBeGreaterThan(0.9);
  } finally {
    await db.destroy();
    await database.stop();
  }
}, 180_000);
