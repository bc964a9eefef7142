/** A collection's files: how far each was read, why one failed, and deleting. */
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query';
import type { CollectionFileView } from '@tollgate/shared/contracts/console/collections';
import type { Page } from '@tollgate/shared/contracts/console/common';
import { Trash2 } from 'lucide-react';
import { useState } from 'react';
import { get, post } from '../../api/client.ts';
import { account } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { bytes, count } from '../../lib/numbers.ts';
import { queryText } from '../../lib/search.ts';
import { relative } from '../../lib/time.ts';
import { Confirm } from '../../ui/dialog.tsx';
import { RowMenu } from '../../ui/menu.tsx';
import { PagedTable } from '../../ui/paged-table.tsx';
import { Badge, Bar, Empty, messageOf } from '../../ui/parts.tsx';
import { toast } from '../../ui/toast.tsx';

const PAGE_ROWS = 50;

interface Props {
  collectionId: string;
  project: string | undefined;
}

export function FilesTable({ collectionId, project }: Props) {
  const { accountId } = useSession();
  const [removing, setRemoving] = useState<CollectionFileView | null>(null);
  const path = `${account(accountId)}/collections/${collectionId}/files`;
  const list = useInfiniteQuery({
    queryKey: ['collection-files', collectionId, accountId, project ?? null],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      get<Page<CollectionFileView>>(path, { projectId: project, limit: PAGE_ROWS, cursor: pageParam }, signal),
    getNextPageParam: (page) => page.next,
    // While something is read, somebody watches it.
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ data }) => data.some(({ status }) => status === 'in_progress')) ? 1_000 : false,
  });
  const now = Date.now();
  return (
    <section className="flex flex-col gap-3" aria-labelledby="files">
      <h2 id="files" className="text-lg font-semibold">
        Files
      </h2>
      <PagedTable
        list={list}
        noun="file"
        skeleton="h-40"
        caption="Files of the collection"
        rowKey={(file) => file.fileId}
        copyId={(file) => file.fileId}
        empty={<Empty title="No files yet">Files appear here as soon as they are uploaded.</Empty>}
        columns={[
          {
            id: 'name',
            header: 'File',
            cell: (file) => (
              <>
                <span className="font-medium break-all">{file.filename}</span>
                {file.error ? <span className="block max-w-xl text-xs text-bad">{file.error.message}</span> : null}
              </>
            ),
          },
          { id: 'state', header: 'State', cell: (file) => <FileState file={file} /> },
          {
            id: 'chunks',
            header: 'Passages',
            numeric: true,
            from: 'sm',
            cell: (file) => (file.status === 'completed' ? count(file.chunks) : '–'),
          },
          { id: 'size', header: 'Stored', numeric: true, from: 'md', cell: (file) => bytes(file.usageBytes) },
          {
            id: 'at',
            header: 'Added',
            numeric: true,
            from: 'sm',
            cell: (file) => <span className="text-muted">{relative(file.createdAt, now)}</span>,
          },
          {
            id: 'actions',
            header: <span className="sr-only">Actions</span>,
            numeric: true,
            cell: (file) => (
              <RowMenu
                label={`Actions for ${file.filename}`}
                actions={[
                  {
                    label: 'Delete',
                    icon: <Trash2 size={15} aria-hidden="true" />,
                    danger: true,
                    onSelect: () => setRemoving(file),
                  },
                ]}
              />
            ),
          },
        ]}
      />
      {removing ? <RemoveFile file={removing} path={path} project={project} onClose={() => setRemoving(null)} /> : null}
    </section>
  );
}

function FileState({ file }: { file: CollectionFileView }) {
  if (file.status === 'completed') return <Badge tone="ok">ready</Badge>;
  if (file.status === 'failed') return <Badge tone="bad">failed</Badge>;
  if (file.status === 'cancelled') return <Badge>cancelled</Badge>;
  return (
    <span className="inline-flex w-36 flex-col gap-1">
      <Badge tone="info">
        {file.chunksTotal === null ? 'being read' : `${count(file.chunks)} of ${count(file.chunksTotal)}`}
      </Badge>
      <Bar
        share={file.chunksTotal ? file.chunks / file.chunksTotal : 0}
        label={`How far ${file.filename} was read`}
        tone="ok"
      />
    </span>
  );
}

interface RemoveProps extends Pick<Props, 'project'> {
  file: CollectionFileView;
  path: string;
  onClose(): void;
}

function RemoveFile({ file, path, project, onClose }: RemoveProps) {
  const client = useQueryClient();
  const remove = useMutation({
    mutationFn: () => post(`${path}/${file.fileId}/remove${queryText({ projectId: project })}`),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['collection-files'] });
      void client.invalidateQueries({ queryKey: ['collections'] });
      toast(`${file.filename} is deleted`);
      onClose();
    },
  });
  return (
    <Confirm
      open
      onClose={onClose}
      title="Delete this file?"
      description="Its bytes, passages and vectors go from every collection. This cannot be undone."
      action="Delete file"
      pending={remove.isPending}
      error={remove.error ? messageOf(remove.error) : null}
      onConfirm={() => remove.mutate()}
    >
      <code className="break-all">{file.filename}</code>
    </Confirm>
  );
}
