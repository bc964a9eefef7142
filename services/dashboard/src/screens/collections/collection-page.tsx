import { useQuery } from '@tanstack/react-query';
import { useParams, useSearch } from '@tanstack/react-router';
import type { CollectionView } from '@tollgate/shared/contracts/console/collections';
import { get } from '../../api/client.ts';
import { account, collectionsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { snippet } from '../../lib/snippets.ts';
import { ButtonLink } from '../../ui/button.tsx';
import { CopyButton, CopyLine } from '../../ui/copy.tsx';
import { Card, Loaded, PageBody } from '../../ui/parts.tsx';
import { backToCollections } from './collections.tsx';
import { FilesTable } from './files-table.tsx';
import { TestSearch } from './test-search.tsx';
import { UploadArea } from './upload-area.tsx';

/** Where the list does not say: what the service takes by default. */
const MAX_FILE_BYTES = 67_108_864;

export default function CollectionDetailPage() {
  const { collectionId } = useParams({ from: '/signed-in/collections/$collectionId' });
  const { project } = useSearch({ from: '/signed-in/collections/$collectionId' });
  const { accountId, routerUrl } = useSession();
  const collection = useQuery({
    queryKey: ['collections', accountId, project ?? null, collectionId],
    queryFn: ({ signal }) =>
      get<CollectionView>(`${account(accountId)}/collections/${collectionId}`, { projectId: project }, signal),
  });
  const all = useQuery(collectionsQuery(accountId, project));
  const body = {
    model: 'a-model',
    messages: [{ role: 'user', content: '…' }],
    rag_params: { vector_store_ids: [collectionId] },
  };
  return (
    <PageBody
      title={collection.data?.name || 'Collection'}
      lead={
        <span className="inline-flex items-center">
          <code>{collectionId}</code>
          <CopyButton text={collectionId} label="Copy the collection's id" />
        </span>
      }
      actions={
        <>
          {backToCollections(project)}
          <ButtonLink to="/playground" search={{ collection: collectionId, project }} look="primary">
            Ask it in the playground
          </ButtonLink>
        </>
      }
    >
      <Loaded query={collection} skeleton="h-64">
        {() => (
          <>
            <UploadArea
              collectionId={collectionId}
              project={project}
              maxBytes={all.data?.maxFileBytes ?? MAX_FILE_BYTES}
            />
            <FilesTable collectionId={collectionId} project={project} />
            <TestSearch collectionId={collectionId} project={project} />
            <Card title="In a request">
              <CopyLine label="As curl" text={snippet('curl', { baseUrl: `${routerUrl}/v1`, body })} />
            </Card>
          </>
        )}
      </Loaded>
    </PageBody>
  );
}
