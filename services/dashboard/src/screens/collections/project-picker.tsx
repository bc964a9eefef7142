/** Which project's collections are meant; shown only to organisations that have projects. */
import { useQuery } from '@tanstack/react-query';
import type { ProjectView } from '@tollgate/shared/contracts/console/organisations';
import { account, listQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { SelectField } from '../../ui/field.tsx';

interface Props {
  value: string | undefined;
  onChange(projectId: string | undefined): void;
}

export function ProjectPicker({ value, onChange }: Props) {
  const { accountId } = useSession();
  const projects = useQuery(listQuery<ProjectView>(`${account(accountId)}/projects`));
  const live = (projects.data ?? []).filter(({ archivedAt }) => archivedAt === null);
  if (live.length === 0 && value === undefined) return null;
  return (
    <SelectField
      label="Project"
      className="w-52"
      value={value ?? ''}
      onChange={(event) => onChange(event.target.value || undefined)}
    >
      <option value="">None</option>
      {value !== undefined && !live.some(({ projectId }) => projectId === value) ? <option>{value}</option> : null}
      {live.map(({ projectId, name }) => (
        <option key={projectId} value={projectId}>
          {name}
        </option>
      ))}
    </SelectField>
  );
}
