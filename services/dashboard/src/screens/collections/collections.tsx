import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { CollectionView } from '@tollgate/shared/contracts/console/collections';
import { Plus, Settings2, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { ApiError } from '../../api/error.ts';
import { collectionsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { bytes, count } from '../../lib/numbers.ts';
import { compactSearch } from '../../lib/search.ts';
import { relative } from '../../lib/time.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { RowMenu } from '../../ui/menu.tsx';
import { Empty, Loaded, PageBody } from '../../ui/parts.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { CollectionDialog, RemoveCollection } from './collection-dialogs.tsx';
import { ProjectPicker } from './project-picker.tsx';
import { CollectionEnd, CollectionState } from './state.tsx';

export default function CollectionsPage() {
  const { accountId, may } = useSession();
  const { project } = useSearch({ from: '/signed-in/collections' });
  const navigate = useNavigate();
  const [editing, setEditing] = useState<CollectionView | 'new' | null>(null);
  const [removing, setRemoving] = useState<CollectionView | null>(null);
  const allowed = may('playground:use');
  const list = useQuery({ ...collectionsQuery(accountId, project), enabled: allowed });
  // Retrieval is a service of its own: an installation without it has no collections.
  const absent = list.error instanceof ApiError && list.error.status === 404;
  return (
    <PageBody
      title="Collections"
      lead="Documents that answers may quote. Upload files, try the search, then choose collections in the playground or name them in rag_params."
      actions={
        allowed && !absent ? (
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setEditing('new')}>
            New collection
          </Button>
        ) : null
      }
    >
      {!allowed ? (
        <div className="card">
          <Empty title="Your role may not use collections">
            They are read and searched with a key of your own. Ask an owner or admin for the role of a developer.
          </Empty>
        </div>
      ) : absent ? (
        <div className="card">
          <Empty title="Collections are not switched on here">
            The operator of this installation starts the retrieval service; it needs PostgreSQL with pgvector.
          </Empty>
        </div>
      ) : (
        <>
          <ProjectPicker
            value={project}
            onChange={(next) =>
              void navigate({ to: '/collections', search: compactSearch({ project: next }), replace: true })
            }
          />
          <Loaded query={list} skeleton="h-64">
            {({ data }) => (
              <Table
                caption="Collections"
                columns={columns(Date.now(), project, { edit: setEditing, remove: setRemoving })}
                rows={data}
                rowKey={(row) => row.collectionId}
                copyId={(row) => row.collectionId}
                empty={
                  <Empty
                    title="No collections yet"
                    action={
                      <Button look="primary" onClick={() => setEditing('new')}>
                        Make the first one
                      </Button>
                    }
                  >
                    A collection holds files: text, Markdown, HTML, PDF, JSON and CSV. Answers quote the passages that
                    fit the question.
                  </Empty>
                }
              />
            )}
          </Loaded>
        </>
      )}
      {editing ? (
        <CollectionDialog
          collection={editing === 'new' ? null : editing}
          project={project}
          onClose={() => setEditing(null)}
        />
      ) : null}
      {removing ? <RemoveCollection target={removing} project={project} onClose={() => setRemoving(null)} /> : null}
    </PageBody>
  );
}

function columns(
  now: number,
  project: string | undefined,
  act: { edit(target: CollectionView): void; remove(target: CollectionView): void },
): Column<CollectionView>[] {
  return [
    {
      id: 'name',
      header: 'Name',
      cell: (row) => (
        <Link
          to="/collections/$collectionId"
          params={{ collectionId: row.collectionId }}
          search={compactSearch({ project })}
          data-row-main
          className="tap-touch inline-flex items-center font-medium hover:underline"
        >
          {row.name || row.collectionId}
        </Link>
      ),
    },
    { id: 'id', header: 'Id', from: 'md', cell: (row) => <code className="text-muted">{row.collectionId}</code> },
    { id: 'files', header: 'Files', numeric: true, cell: (row) => count(row.files.total) },
    {
      id: 'state',
      header: 'State',
      cell: (row) => <CollectionState of={row} />,
    },
    { id: 'size', header: 'Size', numeric: true, from: 'sm', cell: (row) => bytes(row.usageBytes) },
    {
      id: 'model',
      header: 'Vectors by',
      from: 'lg',
      cell: (row) => <code className="text-muted">{row.embeddingModel}</code>,
    },
    { id: 'ends', header: 'Ends', numeric: true, from: 'lg', cell: (row) => <CollectionEnd of={row} /> },
    {
      id: 'created',
      header: 'Created',
      numeric: true,
      from: 'md',
      cell: (row) => <span className="text-muted">{relative(row.createdAt, now)}</span>,
    },
    {
      id: 'actions',
      header: <span className="sr-only">Actions</span>,
      numeric: true,
      cell: (row) => (
        <RowMenu
          label={`Actions for ${row.name}`}
          actions={[
            {
              label: 'Settings',
              icon: <Settings2 size={15} aria-hidden="true" />,
              onSelect: () => act.edit(row),
            },
            {
              label: 'Delete',
              icon: <Trash2 size={15} aria-hidden="true" />,
              danger: true,
              onSelect: () => act.remove(row),
            },
          ]}
        />
      ),
    },
  ];
}

export const backToCollections = (project: string | undefined) => (
  <ButtonLink to="/collections" search={compactSearch({ project })}>
    All collections
  </ButtonLink>
);
