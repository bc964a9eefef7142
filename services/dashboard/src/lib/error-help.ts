/** Which page of the dashboard fixes an error that an application got; the error's own page explains the rest. */

export interface Fix {
  to: string;
  label: string;
}

const FIXES: Record<string, Fix> = {
  missing_api_key: { to: '/keys', label: 'Look at your keys' },
  invalid_api_key: { to: '/keys', label: 'Compare with your keys' },
  key_expired: { to: '/keys', label: 'Make a new key' },
  model_not_allowed: { to: '/keys', label: "Change the key's models" },
  endpoint_not_allowed: { to: '/keys', label: 'Change what the key may do' },
  key_limit_reached: { to: '/keys', label: "Raise the key's cap" },
  insufficient_credits: { to: '/credits', label: 'Add credit' },
  credit_in_use: { to: '/credits', label: 'See what is reserved' },
  rate_limit_exceeded: { to: '/limits', label: 'See the limits' },
  concurrency_limit_exceeded: { to: '/limits', label: 'See the limits' },
  request_exceeds_limit: { to: '/limits', label: 'See the limits' },
  model_not_found: { to: '/models', label: 'See the models' },
  context_length_exceeded: { to: '/models', label: 'See context lengths' },
  invalid_schema: { to: '/playground', label: 'Try the schema in the playground' },
  invalid_output: { to: '/playground', label: 'Try the schema in the playground' },
  no_worker: { to: '/models', label: 'See which models are up' },
};

export const fixFor = (code: string | null | undefined): Fix | null => (code ? (FIXES[code] ?? null) : null);
/** Page of an error code. */
export const errorPage = (code: string) => `/docs/errors/${code}`;
