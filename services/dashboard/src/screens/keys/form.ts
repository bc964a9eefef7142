/** The fields of a key as a person fills them in, and the request made from them. */
import type { KeyView } from '@tollgate/shared/contracts/console/keys';
import { parseUsd, toNusd, usdExact } from '../../lib/money.ts';

export interface KeyForm {
  name: string;
  expires: 'never' | '30' | '90' | '365' | 'date' | 'keep';
  /** `YYYY-MM-DD`, when `expires` is `date`. */
  date: string;
  /** Empty = every model. */
  models: string[];
  capDay: string;
  capMonth: string;
  rpm: string;
  tpm: string;
  concurrency: string;
  /** One address or range per line. */
  ips: string;
  tags: string;
  projectId: string;
  allowGrammars: boolean;
}

export const NEW_KEY: KeyForm = {
  name: '',
  expires: 'never',
  date: '',
  models: [],
  capDay: '',
  capMonth: '',
  rpm: '',
  tpm: '',
  concurrency: '',
  ips: '',
  tags: '',
  projectId: '',
  allowGrammars: false,
};

const dollars = (amount: string | null) => (amount === null ? '' : usdExact(amount).replace(/[$,]/g, ''));
const text = (value: number | null) => (value === null ? '' : String(value));

/** The form of a key that exists. */
export function formOf(key: KeyView): KeyForm {
  return {
    name: key.name,
    expires: 'keep',
    date: '',
    models: key.models ?? [],
    capDay: dollars(key.capDayNusd),
    capMonth: dollars(key.capMonthNusd),
    rpm: text(key.limits.rpm),
    tpm: text(key.limits.tpm),
    concurrency: text(key.limits.concurrency),
    ips: (key.allowedIps ?? []).join('\n'),
    tags: key.tags.join(', '),
    projectId: key.projectId ?? '',
    allowGrammars: key.allowGrammars,
  };
}

export type FieldErrors = Partial<Record<keyof KeyForm, string>>;

/** What would be refused, by field; the console checks again. */
export function checkForm(form: KeyForm): FieldErrors {
  const errors: FieldErrors = {};
  for (const field of ['capDay', 'capMonth'] as const) {
    if (form[field] !== '' && parseUsd(form[field]) === null) errors[field] = 'An amount in dollars, such as 12.50';
  }
  for (const field of ['rpm', 'tpm', 'concurrency'] as const) {
    if (form[field] !== '' && !/^[1-9]\d{0,9}$/.test(form[field].trim())) errors[field] = 'A whole number from 1';
  }
  if (form.capDay !== '' && form.capMonth !== '' && !errors.capDay && !errors.capMonth) {
    const day = toNusd(nusdOf(form.capDay));
    if (day > toNusd(nusdOf(form.capMonth))) errors.capDay = 'More per day than per month never takes effect';
  }
  if (form.expires === 'date' && !/^\d{4}-\d\d-\d\d$/.test(form.date)) errors.date = 'Choose a day';
  return errors;
}

/** Typed dollars as nano-USD text. */
function nusdOf(typed: string): string {
  const [whole = '0', fraction = ''] = (parseUsd(typed) ?? '0').split('.');
  return `${whole}${fraction.padEnd(9, '0')}`;
}

const words = (list: string) => list.split(/[\s,]+/).filter((word) => word !== '');
const whole = (typed: string) => (typed.trim() === '' ? null : Number(typed));
const amount = (typed: string) => (typed.trim() === '' ? null : parseUsd(typed));

/** Body of `POST /api/keys` (with `accountId`) and `PATCH /api/keys/{id}`. */
export function bodyOf(form: KeyForm, nowMs: number): Record<string, unknown> {
  const ips = words(form.ips);
  const expiry =
    form.expires === 'keep'
      ? {}
      : form.expires === 'never'
        ? { expiresAt: null }
        : form.expires === 'date'
          ? { expiresAt: new Date(`${form.date}T23:59:59Z`).toISOString() }
          : { expiresAt: new Date(nowMs + Number(form.expires) * 86_400_000).toISOString() };
  return {
    name: form.name.trim(),
    ...expiry,
    models: form.models.length === 0 ? null : form.models,
    capDayUsd: amount(form.capDay),
    capMonthUsd: amount(form.capMonth),
    rpm: whole(form.rpm),
    tpm: whole(form.tpm),
    concurrency: whole(form.concurrency),
    allowedIps: ips.length === 0 ? null : ips,
    tags: words(form.tags),
    allowGrammars: form.allowGrammars,
  };
}
