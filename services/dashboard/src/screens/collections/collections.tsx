import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { CollectionView } from '@tollgate/shared/contracts/console/collections';
import { Plus, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { post } from '../../api/client.ts';
import { ApiError } from '../../api/error.ts';
import { account, collectionsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { bytes, count } from '../../lib/numbers.ts';
import { compactSearch, queryText } from '../../lib/search.ts';
import { relative } from '../../lib/time.ts';
import { Button, ButtonLink } from '../../ui/button.tsx';
import { Confirm, Modal } from '../../ui/dialog.tsx';
import { TextField } from '../../ui/field.tsx';
import { RowMenu } from '../../ui/menu.tsx';
import { Badge, Empty, ErrorNote, Loaded, messageOf, PageBody } from '../../ui/parts.tsx';
import { type Column, Table } from '../../ui/table.tsx';
import { toast } from '../../ui/toast.tsx';
import { ProjectPicker } from './project-picker.tsx';

export default function CollectionsPage() {
  const { accountId, may } = useSession();
  const { project } = useSearch({ from: '/signed-in/collections' });
  const navigate = useNavigate();
  const [creating, setCreating] = useState(false);
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
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setCreating(true)}>
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
                columns={columns(Date.now(), project, setRemoving)}
                rows={data}
                rowKey={(row) => row.collectionId}
                copyId={(row) => row.collectionId}
                empty={
                  <Empty
                    title="No collections yet"
                    action={
                      <Button look="primary" onClick={() => setCreating(true)}>
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
      {creating ? <Create project={project} onClose={() => setCreating(false)} /> : null}
      {removing ? <Remove target={removing} project={project} onClose={() => setRemoving(null)} /> : null}
    </PageBody>
  );
}

function columns(
  now: number,
  project: string | undefined,
  remove: (target: CollectionView) => void,
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
      cell: ({ files }) =>
        files.inProgress > 0 ? (
          <Badge tone="info">reading {count(files.inProgress)}</Badge>
        ) : files.failed > 0 ? (
          <Badge tone="warn">{count(files.failed)} failed</Badge>
        ) : (
          <Badge tone="ok">ready</Badge>
        ),
    },
    { id: 'size', header: 'Size', numeric: true, from: 'sm', cell: (row) => bytes(row.usageBytes) },
    {
      id: 'model',
      header: 'Vectors by',
      from: 'lg',
      cell: (row) => <code className="text-muted">{row.embeddingModel}</code>,
    },
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
              label: 'Delete',
              icon: <Trash2 size={15} aria-hidden="true" />,
              danger: true,
              onSelect: () => remove(row),
            },
          ]}
        />
      ),
    },
  ];
}

function Create({ project, onClose }: { project: string | undefined; onClose(): void }) {
  const { accountId } = useSession();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState('');
  const create = useMutation({
    mutationFn: () =>
      post<CollectionView>(`${account(accountId)}/collections${queryText({ projectId: project })}`, {
        name: name.trim(),
      }),
    onSuccess: ({ collectionId }) => {
      void client.invalidateQueries({ queryKey: ['collections', accountId] });
      void navigate({
        to: '/collections/$collectionId',
        params: { collectionId },
        search: compactSearch({ project }),
      });
    },
  });
  return (
    <Modal
      open
      onClose={onClose}
      title="New collection"
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button look="primary" type="submit" form="create-collection" pending={create.isPending}>
            Create
          </Button>
        </>
      }
    >
      <form
        id="create-collection"
        className="flex flex-col gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <TextField
          label="Name"
          required
          maxLength={200}
          placeholder="Handbook, terms, product sheets …"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        {create.error ? <ErrorNote error={create.error} /> : null}
      </form>
    </Modal>
  );
}

interface RemoveProps {
  target: CollectionView;
  project: string | undefined;
  onClose(): void;
}

function Remove({ target, project, onClose }: RemoveProps) {
  const { accountId } = useSession();
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () =>
      post(`${account(accountId)}/collections/${target.collectionId}/remove${queryText({ projectId: project })}`),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['collections', accountId] });
      toast(`“${target.name}” is deleted`);
      onClose();
    },
  });
  return (
    <Confirm
      open
      onClose={onClose}
      title={`Delete “${target.name}”?`}
      description="Its passages and vectors go at once, and requests that name it are answered 404. The files themselves stay in your account."
      typed={target.name || target.collectionId}
      action="Delete collection"
      pending={remove.isPending}
      error={remove.error ? messageOf(remove.error) : null}
      onConfirm={() => remove.mutate()}
    />
  );
}

export const backToCollections = (project: string | undefined) => (
  <ButtonLink to="/collections" search={compactSearch({ project })}>
    All collections
  </ButtonLink>
);
