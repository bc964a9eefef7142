/** SGLang's errors: flat, or nested under `error` in a stream. From source, not recorded. */
import type { ApiError } from '../vllm/errors.ts';

function flat({ message, type, param, status }: ApiError): object {
  return { object: 'error', message, type, param, code: status };
}

export function errorBody(error: ApiError): string {
  return JSON.stringify(flat(error));
}

export function errorEvent(error: ApiError): string {
  return `data: ${JSON.stringify({ error: flat(error) })}\n\n`;
}
