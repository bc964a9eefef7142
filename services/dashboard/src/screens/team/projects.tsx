import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ProjectView } from '@tollgate/shared/contracts/console/organisations';
import { useState } from 'react';
import { patch, post } from '../../api/client.ts';
import { account, listQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { dateOnly } from '../../lib/time.ts';
import { Button } from '../../ui/button.tsx';
import { TextField } from '../../ui/field.tsx';
import { Badge, Empty, ErrorNote, Loaded } from '../../ui/parts.tsx';
import { Table } from '../../ui/table.tsx';

/** Projects group keys; a key belongs to at most one. */
export function Projects() {
  const { accountId, may } = useSession();
  const client = useQueryClient();
  const path = `${account(accountId)}/projects`;
  const projects = useQuery(listQuery<ProjectView>(path));
  const [name, setName] = useState('');
  const after = () => client.invalidateQueries({ queryKey: ['list', path] });
  const create = useMutation({
    mutationFn: () => post<ProjectView>(path, { name: name.trim() }),
    onSuccess: () => {
      setName('');
      void after();
    },
  });
  const archive = useMutation({
    mutationFn: ({ projectId, archived }: { projectId: string; archived: boolean }) =>
      patch<ProjectView>(`${path}/${projectId}`, { archived }),
    onSuccess: after,
  });
  const writer = may('projects:write');
  return (
    <section className="flex flex-col gap-3" aria-labelledby="projects">
      <h2 id="projects" className="text-lg font-semibold">
        Projects
      </h2>
      {writer ? (
        <form
          className="flex max-w-md items-end gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            create.mutate();
          }}
        >
          <TextField
            className="flex-1"
            label="New project"
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <Button type="submit" pending={create.isPending}>
            Add
          </Button>
        </form>
      ) : null}
      {create.error || archive.error ? <ErrorNote error={create.error ?? archive.error} /> : null}
      <Loaded query={projects}>
        {(rows) => (
          <Table
            caption="Projects"
            rows={rows}
            rowKey={(project) => project.projectId}
            copyId={(project) => project.projectId}
            empty={<Empty title="No projects">Group keys by what they are for, such as one project per product.</Empty>}
            columns={[
              { id: 'name', header: 'Name', cell: (project) => <span className="font-medium">{project.name}</span> },
              {
                id: 'id',
                header: 'Id',
                from: 'sm',
                cell: (project) => <code className="text-muted">{project.projectId}</code>,
              },
              {
                id: 'state',
                header: 'State',
                cell: (project) => (
                  <Badge tone={project.archivedAt ? 'plain' : 'ok'}>{project.archivedAt ? 'archived' : 'in use'}</Badge>
                ),
              },
              { id: 'created', header: 'Created', from: 'md', cell: (project) => dateOnly(project.createdAt) },
              {
                id: 'archive',
                header: <span className="sr-only">Archive</span>,
                numeric: true,
                cell: ({ projectId, archivedAt }) =>
                  writer ? (
                    <Button look="ghost" onClick={() => archive.mutate({ projectId, archived: archivedAt === null })}>
                      {archivedAt ? 'Take out' : 'Archive'}
                    </Button>
                  ) : null,
              },
            ]}
          />
        )}
      </Loaded>
    </section>
  );
}
