/** How a collection stands, in a word, and when it ends. */
import type { CollectionView } from '@tollgate/shared/contracts/console/collections';
import { count } from '../../lib/numbers.ts';
import { dateTime, relative } from '../../lib/time.ts';
import { Badge } from '../../ui/parts.tsx';

export function CollectionState({ of: { status, files } }: { of: CollectionView }) {
  if (status === 'expired') return <Badge tone="bad">ended</Badge>;
  if (files.inProgress > 0) return <Badge tone="info">reading {count(files.inProgress)}</Badge>;
  if (files.failed > 0) return <Badge tone="warn">{count(files.failed)} failed</Badge>;
  return <Badge tone="ok">ready</Badge>;
}

/** `never`, `in 6 days`; the exact time on asking. */
export function CollectionEnd({ of: { expiresAt } }: { of: CollectionView }) {
  if (expiresAt === null) return 'never';
  return (
    <time dateTime={expiresAt} title={dateTime(expiresAt)}>
      {relative(expiresAt, Date.now())}
    </time>
  );
}
