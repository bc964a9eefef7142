/** One page per error code, as Markdown (docs/errors) and as HTML (`/docs/errors/<code>`), from one source. */
import { type Blame, ERRORS, type ErrorCode, type ErrorSpec } from '@tollgate/shared/domain/errors';
import { ADVICE } from './advice.ts';

const FAULT: Record<Blame, string> = {
  client: 'The request: something in what was sent.',
  account: 'The account: its credit, limits or permissions. The request itself is fine.',
  capacity: 'Nobody: the fleet has no room at this moment.',
  worker: 'The worker that ran the model. Not the caller.',
  platform: 'This service. Not the caller.',
};

export interface ErrorPage {
  code: ErrorCode;
  title: string;
  sections: readonly { heading: string; text: string }[];
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

export const ERROR_CODES = Object.keys(ERRORS) as ErrorCode[];

export function errorPage(code: ErrorCode): ErrorPage {
  const spec: ErrorSpec = ERRORS[code];
  const { what, todo } = ADVICE[code];
  return {
    code,
    title: code,
    sections: [
      { heading: 'What happened', text: what },
      { heading: 'Whose fault', text: FAULT[spec.blame] },
      { heading: 'What to do', text: todo },
      {
        heading: 'On the wire',
        text:
          `HTTP ${spec.status}, \`error.type\` is \`${spec.type}\`, \`error.code\` is \`${code}\`, ` +
          `\`x-should-retry: ${spec.retryable}\`. Default message: "${spec.message}"`,
      },
    ],
  };
}

export function errorPageMarkdown(code: ErrorCode): string {
  const page = errorPage(code);
  const sections = page.sections.map(({ heading, text }) => `## ${heading}\n\n${text}\n`);
  return `# ${page.title}\n\n${sections.join('\n')}`;
}

export function errorIndexMarkdown(): string {
  const rows = ERROR_CODES.map((code) => {
    const spec: ErrorSpec = ERRORS[code];
    return `| [${code}](${code}.md) | ${spec.status} | ${spec.blame} | ${spec.retryable ? 'yes' : 'no'} | ${spec.message} |`;
  });
  return [
    '# Errors',
    '',
    'Every error is `{"error":{"message","type","param","code","metadata"}}`. These pages are generated from the',
    'catalogue in `services/shared/src/domain/errors.ts` by `services/console/src/errors/write-pages.ts`.',
    '',
    '| code | status | fault | retry | message |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const escapeHtml = (text: string) =>
  text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`).replace(/`([^`]+)`/g, '<code>$1</code>');

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}' +
  'code{background:#eee;padding:.1em .3em;border-radius:3px}h1{font-family:ui-monospace,monospace}' +
  '@media(prefers-color-scheme:dark){body{color:#eee;background:#16181c}code{background:#333}a{color:#8ab4f8}}';

function html(title: string, body: string): string {
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${title} - Tollgate</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>\n`
  );
}

export function errorPageHtml(code: ErrorCode): string {
  const page = errorPage(code);
  const sections = page.sections.map(({ heading, text }) => `<h2>${heading}</h2><p>${escapeHtml(text)}</p>`);
  return html(code, `<h1>${code}</h1>${sections.join('')}<p><a href="./">All errors</a></p>`);
}

export function errorIndexHtml(): string {
  const items = ERROR_CODES.map(
    (code) =>
      `<li><a href="${code}"><code>${code}</code></a> ${ERRORS[code].status}: ${escapeHtml(ERRORS[code].message)}</li>`,
  );
  return html('Errors', `<h1>Errors</h1><ul>${items.join('')}</ul>`);
}
