import { useQuery } from '@tanstack/react-query';
import { useParams, useSearch } from '@tanstack/react-router';
import type { CollectionView } from '@tollgate/shared/contracts/console/collections';
import { useState } from 'react';
import { get } from '../../api/client.ts';
import { account, collectionsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { bytes, count } from '../../lib/numbers.ts';
import { snippet } from '../../lib/snippets.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { CopyButton, CopyLine } from '../../ui/copy.tsx';
import { Card, Facts, Loaded, PageBody } from '../../ui/parts.tsx';
import { CollectionDialog } from './collection-dialogs.tsx';
import { backToCollections } from './collections.tsx';
import { FilesTable } from './files-table.tsx';
import { CollectionEnd, CollectionState } from './state.tsx';
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
    // While something is read, somebody watches it.
    refetchInterval: ({ state }) => (state.data?.status === 'in_progress' ? 1_000 : false),
  });
  const [editing, setEditing] = useState(false);
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
          {collection.data ? <Button onClick={() => setEditing(true)}>Settings</Button> : null}
          <ButtonLink to="/playground" search={{ collection: collectionId, project }} look="primary">
            Ask it in the playground
          </ButtonLink>
        </>
      }
    >
      <Loaded query={collection} skeleton="h-64">
        {(data) => (
          <>
            <Card>
              <Facts
                columns={4}
                items={[
                  ['State', <CollectionState key="state" of={data} />],
                  ['Files', count(data.files.total)],
                  ['Passages and vectors', bytes(data.usageBytes)],
                  [
                    data.expiresDays === null ? 'Ends' : `Ends ${data.expiresDays} days after its last use`,
                    <CollectionEnd key="end" of={data} />,
                  ],
                ]}
              />
            </Card>
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
      {editing && collection.data ? (
        <CollectionDialog collection={collection.data} project={project} onClose={() => setEditing(false)} />
      ) : null}
    </PageBody>
  );
}
