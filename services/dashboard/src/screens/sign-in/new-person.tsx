/** The fields by which a new person introduces themself; every way in uses the same ones. */
import { useState } from 'react';
import { TextField } from '../../ui/field.tsx';
import { fieldError } from '../../ui/parts.tsx';

const PASSWORD_MIN = 12;

export interface NewPerson {
  name: string;
  email: string;
  password: string;
}

export function useNewPerson() {
  const [person, setPerson] = useState<NewPerson>({ name: '', email: '', password: '' });
  return { person, set: (change: Partial<NewPerson>) => setPerson((old) => ({ ...old, ...change })) };
}

interface Props {
  person: NewPerson;
  set(change: Partial<NewPerson>): void;
  error: unknown;
  /** False where the e-mail is already known. */
  askEmail?: boolean;
}

export function NewPersonFields({ person, set, error, askEmail = true }: Props) {
  return (
    <>
      <TextField
        label="Your name"
        autoComplete="name"
        required
        value={person.name}
        error={fieldError(error, 'name')}
        onChange={(event) => set({ name: event.target.value })}
      />
      {askEmail ? (
        <TextField
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          value={person.email}
          error={fieldError(error, 'email')}
          onChange={(event) => set({ email: event.target.value })}
        />
      ) : null}
      <NewPassword value={person.password} error={error} onChange={(password) => set({ password })} />
    </>
  );
}

interface PasswordProps {
  /** `Password` when absent. */
  label?: string;
  value: string;
  error: unknown;
  onChange(password: string): void;
}

export function NewPassword({ label = 'Password', value, error, onChange }: PasswordProps) {
  return (
    <TextField
      label={label}
      type="password"
      autoComplete="new-password"
      required
      minLength={PASSWORD_MIN}
      hint={`At least ${PASSWORD_MIN} characters. A few words you remember are fine.`}
      value={value}
      error={fieldError(error, 'password')}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}
