/** Reciprocal rank fusion: what two searches both put high comes first, whatever their scores mean. Pure. */
import type { Hit } from '@tollgate/shared/db/retrieval/chunk-search';

/** The usual constant (Cormack et al. 2009): how much the very first places count above the next. */
const K = 60;

/** Best first; the score is 1 for what all lists put first, and 0 to 1 for the rest. Ties go to the lower id. */
export function fuse(lists: readonly (readonly Hit[])[]): Hit[] {
  const scores = new Map<bigint, number>();
  for (const list of lists) {
    for (const [rank, { id }] of list.entries()) scores.set(id, (scores.get(id) ?? 0) + 1 / (K + rank + 1));
  }
  const best = lists.length / (K + 1);
  return [...scores]
    .map(([id, score]) => ({ id, score: score / best }))
    .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
}

/** Lists of several collections as one, best first. */
export function merge(lists: readonly (readonly Hit[])[], limit: number): Hit[] {
  if (lists.length === 1) return [...lists[0]!];
  return lists
    .flat()
    .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
    .slice(0, limit);
}
