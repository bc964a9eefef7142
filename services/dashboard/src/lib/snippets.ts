/** The same request as curl, Python and TypeScript, ready to paste. */

export interface SnippetRequest {
  /** Base address that SDKs take, with `/v1`. */
  baseUrl: string;
  /** Body of the request. */
  body: Readonly<Record<string, unknown>>;
  /** Path below `baseUrl` (curl only); chat completions when absent. */
  endpoint?: string;
}

export const LANGUAGES = ['curl', 'python', 'typescript'] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_NAMES: Record<Language, string> = { curl: 'curl', python: 'Python', typescript: 'TypeScript' };

/** Text inside single quotes of a POSIX shell. */
export const shellQuote = (text: string) => `'${text.replace(/'/g, `'\\''`)}'`;

/** A JSON value as Python writes it. */
export function pythonValue(value: unknown, indent = ''): string {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  const deeper = `${indent}    `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[\n${value.map((item) => `${deeper}${pythonValue(item, deeper)},\n`).join('')}${indent}]`;
  }
  if (typeof value === 'object') {
    const entries = Object.entries(value);
    if (entries.length === 0) return '{}';
    const lines = entries.map(([name, item]) => `${deeper}${JSON.stringify(name)}: ${pythonValue(item, deeper)},\n`);
    return `{\n${lines.join('')}${indent}}`;
  }
  // Python reads JSON's escapes of texts as its own; only the escape of astral characters differs, and stays raw here.
  return JSON.stringify(value);
}

/** Fields that are ours: the Python SDK passes them on in `extra_body` alone. */
const EXTRA = new Set(['rag_params']);

/** How a program of the reader's reads its environment; this page itself has none. */
const nodeVariable = (name: string) => `process.${'env'}.${name}`;

/** The key is never part of a snippet: it is read from the environment. */
export function snippet(language: Language, { baseUrl, body, endpoint = '/chat/completions' }: SnippetRequest): string {
  const stream = body.stream === true;
  if (language === 'curl') {
    return [
      `curl ${stream ? '-sN' : '-s'} ${baseUrl}${endpoint} \\`,
      '  -H "Authorization: Bearer $TOLLGATE_KEY" -H "Content-Type: application/json" \\',
      `  -d ${shellQuote(JSON.stringify(body, null, 2))}`,
    ].join('\n');
  }
  if (language === 'python') {
    const own = Object.entries(body).filter(([name]) => !EXTRA.has(name));
    const extra = Object.entries(body).filter(([name]) => EXTRA.has(name));
    const all = extra.length === 0 ? own : [...own, ['extra_body', Object.fromEntries(extra)] as const];
    const fields = all.map(([name, value]) => `    ${name}=${pythonValue(value, '    ')},\n`);
    const read = stream
      ? 'for chunk in answer:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="")'
      : 'print(answer.choices[0].message.content)';
    return [
      'import os',
      'from openai import OpenAI',
      '',
      `client = OpenAI(base_url=${JSON.stringify(baseUrl)}, api_key=os.environ["TOLLGATE_KEY"])`,
      `answer = client.chat.completions.create(\n${fields.join('')})`,
      read,
    ].join('\n');
  }
  const read = stream
    ? "for await (const chunk of answer) process.stdout.write(chunk.choices[0]?.delta.content ?? '');"
    : 'console.log(answer.choices[0].message.content);';
  return [
    "import OpenAI from 'openai';",
    '',
    `const client = new OpenAI({ baseURL: '${baseUrl}', apiKey: ${nodeVariable('TOLLGATE_KEY')} });`,
    `const answer = await client.chat.completions.create(${JSON.stringify(body, null, 2)});`,
    read,
  ].join('\n');
}

/** The line that a `.env` file takes. */
export const envLine = (key: string) => `TOLLGATE_KEY=${key}`;
