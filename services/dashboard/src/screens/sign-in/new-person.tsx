/** The fields by which a new person introduces themself; every way in uses the same ones. */
import { useState } from 'react';
import { TextField } from '../../ui/field.tsx';
import { fieldError } from '../../ui/parts.tsx';

export const PASSWORD_MIN = 12;

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
      <TextField
        label="Password"
        type="password"
        autoComplete="new-password"
        required
        minLength={PASSWORD_MIN}
        hint={`At least ${PASSWORD_MIN} characters. A few words you remember are fine.`}
        value={person.password}
        error={fieldError(error, 'password')}
        onChange={(event) => set({ password: event.target.value })}
      />
    </>
  );
}
