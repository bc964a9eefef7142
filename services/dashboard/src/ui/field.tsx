/** Form fields: label, hint and error tied together for people who listen. */
import { type ComponentProps, type ReactNode, useId } from 'react';

interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  error?: string | null | undefined;
  /** Gets the ids to put on the control. */
  children: (ids: {
    id: string;
    'aria-describedby': string | undefined;
    'aria-invalid': boolean | undefined;
  }) => ReactNode;
  className?: string;
}

export function Field({ label, hint, error, children, className }: FieldProps) {
  const id = useId();
  const described = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ');
  return (
    <div className={`flex flex-col gap-1 ${className ?? ''}`}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      {children({ id, 'aria-describedby': described || undefined, 'aria-invalid': error ? true : undefined })}
      {hint ? (
        <p id={`${id}-hint`} className="text-xs text-muted">
          {hint}
        </p>
      ) : null}
      {error ? (
        <p id={`${id}-error`} role="alert" className="text-xs font-medium text-bad">
          {error}
        </p>
      ) : null}
    </div>
  );
}

type Labelled = Pick<FieldProps, 'label' | 'hint' | 'error'>;

export function TextField({ label, hint, error, className, ...rest }: ComponentProps<'input'> & Labelled) {
  return (
    <Field label={label} hint={hint} error={error} {...(className ? { className } : {})}>
      {(ids) => <input {...rest} {...ids} className="field" />}
    </Field>
  );
}

export function TextArea({ label, hint, error, className, ...rest }: ComponentProps<'textarea'> & Labelled) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(ids) => <textarea {...rest} {...ids} className={`field ${className ?? ''}`} />}
    </Field>
  );
}

export function SelectField({ label, hint, error, className, children, ...rest }: ComponentProps<'select'> & Labelled) {
  return (
    <Field label={label} hint={hint} error={error} {...(className ? { className } : {})}>
      {(ids) => (
        <select {...rest} {...ids} className="field">
          {children}
        </select>
      )}
    </Field>
  );
}

export function Checkbox({ label, hint, ...rest }: ComponentProps<'input'> & Pick<FieldProps, 'label' | 'hint'>) {
  const id = useId();
  return (
    <div className="tap flex items-center gap-2.5">
      <input {...rest} id={id} type="checkbox" className="size-4 shrink-0 accent-accent" />
      <label htmlFor={id} className="text-sm">
        {label}
        {hint ? <span className="block text-xs text-muted">{hint}</span> : null}
      </label>
    </div>
  );
}
