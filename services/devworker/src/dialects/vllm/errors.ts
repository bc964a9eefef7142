/** vLLM's error answers: `{"error":{"message","type","param","code"}}`, and the plain `{"detail"}` of its framework. */

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly type: string;
  readonly param: string | null;
  /** Found by the engine's input processor: with `stream: true` it comes as 200 and one error event. */
  readonly late: boolean;

  constructor(status: number, type: string, message: string, param: string | null = null, late = false) {
    super(message);
    this.status = status;
    this.type = type;
    this.param = param;
    this.late = late;
  }
}

/** 400 with vLLM's suffix `(parameter=..., value=...)` when a parameter is to blame. */
export function badRequest(message: string, param: string | null = null, value?: string): ApiError {
  const suffix = param === null ? '' : ` (parameter=${param}${value === undefined ? '' : `, value=${value}`})`;
  return new ApiError(400, 'BadRequestError', message + suffix, param);
}

/** The same, from the input processor. */
export function lateBadRequest(message: string, param: string | null = null, value?: string): ApiError {
  const early = badRequest(message, param, value);
  return new ApiError(400, early.type, early.message, param, true);
}

export function unknownModel(model: string): ApiError {
  return new ApiError(404, 'NotFoundError', `The model \`${model}\` does not exist.`, 'model');
}

/** Body of an error answer, compact JSON. */
export function errorBody(error: ApiError): string {
  const { message, type, param, status } = error;
  return JSON.stringify({ error: { message, type, param, code: status } });
}

/** JSON as Python's `json.dumps` writes it: spaces after `,` and `:`, ASCII only unless told otherwise. */
export function pythonJson(value: unknown, ascii = true): string {
  if (Array.isArray(value)) return `[${value.map((item) => pythonJson(item, ascii)).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, item]) => `${pythonJson(key, ascii)}: ${pythonJson(item, ascii)}`)
      .join(', ')}}`;
  }
  const text = JSON.stringify(value) ?? 'null';
  if (!ascii || typeof value !== 'string') return text;
  return text.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The one event that a stream carries when it fails: Python-spaced JSON, unlike everything else. */
export function errorEvent(error: ApiError): string {
  const { message, type, param, status } = error;
  return `data: ${pythonJson({ error: { message, type, param, code: status } })}\n\n`;
}
