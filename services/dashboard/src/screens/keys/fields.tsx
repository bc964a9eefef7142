/** Name, end, models, caps, limits and addresses of a key: for making one and for changing one. */
import { useQuery } from '@tanstack/react-query';
import type { ProjectView } from '@tollgate/shared/contracts/console/organisations';
import { account, listQuery, modelsQuery } from '../../api/queries.ts';
import { useSession } from '../../app/session.tsx';
import { Checkbox, Field, SelectField, TextArea, TextField } from '../../ui/field.tsx';
import { FilterChip } from '../../ui/menu.tsx';
import type { FieldErrors, KeyForm } from './form.ts';

interface Props {
  form: KeyForm;
  set(change: Partial<KeyForm>): void;
  errors: FieldErrors;
  /** The project is chosen once, when the key is made. */
  isNew: boolean;
}

export function KeyFields({ form, set, errors, isNew }: Props) {
  const { accountId } = useSession();
  const models = useQuery(modelsQuery);
  const projects = useQuery(listQuery<ProjectView>(`${account(accountId)}/projects`));
  const text = (field: 'capDay' | 'capMonth' | 'rpm' | 'tpm' | 'concurrency') => ({
    value: form[field],
    error: errors[field],
    onChange: (event: { target: { value: string } }) => set({ [field]: event.target.value }),
  });
  const live = (projects.data ?? []).filter(({ archivedAt }) => archivedAt === null);
  return (
    <div className="flex flex-col gap-4">
      <TextField
        label="Name"
        required
        maxLength={200}
        placeholder="production, ci, laptop …"
        hint="What will use it. Only people see this."
        value={form.name}
        onChange={(event) => set({ name: event.target.value })}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField
          label="Ends"
          value={form.expires}
          onChange={(event) => set({ expires: event.target.value as KeyForm['expires'] })}
        >
          {isNew ? null : <option value="keep">As it is now</option>}
          <option value="never">Never</option>
          <option value="30">In 30 days</option>
          <option value="90">In 90 days</option>
          <option value="365">In a year</option>
          <option value="date">On a day</option>
        </SelectField>
        {form.expires === 'date' ? (
          <TextField
            label="Last day (UTC)"
            type="date"
            required
            value={form.date}
            error={errors.date}
            onChange={(event) => set({ date: event.target.value })}
          />
        ) : null}
        {isNew && live.length > 0 ? (
          <SelectField
            label="Project"
            value={form.projectId}
            onChange={(event) => set({ projectId: event.target.value })}
          >
            <option value="">None</option>
            {live.map(({ projectId, name }) => (
              <option key={projectId} value={projectId}>
                {name}
              </option>
            ))}
          </SelectField>
        ) : null}
      </div>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="Spend cap per day, USD" inputMode="decimal" placeholder="none" {...text('capDay')} />
        <TextField label="Spend cap per month, USD" inputMode="decimal" placeholder="none" {...text('capMonth')} />
      </div>
      <details className="rounded-lg border border-line">
        <summary className="tap flex items-center px-3 text-sm font-medium">Limits, models and addresses</summary>
        <div className="flex flex-col gap-4 border-t border-line p-3">
          <div className="grid gap-4 sm:grid-cols-3">
            <TextField label="Requests / minute" inputMode="numeric" placeholder="plan's" {...text('rpm')} />
            <TextField label="Tokens / minute" inputMode="numeric" placeholder="plan's" {...text('tpm')} />
            <TextField label="At the same time" inputMode="numeric" placeholder="plan's" {...text('concurrency')} />
          </div>
          <Field label="Models" hint="None chosen: all, also those to come.">
            {() => (
              <FilterChip
                label="All models"
                choices={(models.data ?? []).map(({ id }) => ({ value: id, label: id }))}
                selected={form.models}
                onChange={(chosen) => set({ models: chosen })}
              />
            )}
          </Field>
          <TextArea
            label="Allowed addresses"
            rows={2}
            placeholder="203.0.113.0/24"
            hint="IP addresses or CIDR ranges, one per line. Empty: from anywhere."
            className="font-mono"
            value={form.ips}
            onChange={(event) => set({ ips: event.target.value })}
          />
          <TextField
            label="Tags"
            placeholder="team-a, batch"
            value={form.tags}
            onChange={(event) => set({ tags: event.target.value })}
          />
          <Checkbox
            label="May send regexes and grammars"
            hint="Besides JSON schemas, for structured output."
            checked={form.allowGrammars}
            onChange={(event) => set({ allowGrammars: event.target.checked })}
          />
        </div>
      </details>
    </div>
  );
}
