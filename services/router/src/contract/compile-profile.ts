/** Profile file -> profile: everything that can be worked out before the first request is. */
import { compileChat, usageRule } from './chat-reader.ts';
import { compileKeyRules } from './key-rules.ts';
import { compileReader, type Reader } from './parameters.ts';
import { ContractError, type ContractProfile, type LimitHeaderNames } from './profile.ts';
import type { ProfileFile } from './profile-file.ts';
import { compileErrors } from './render-error.ts';

/** Throws ContractError with every problem of this file. */
export function compileProfile(file: ProfileFile, docsBase: string): ContractProfile {
  const problems: string[] = [];
  const attempt = <T>(make: () => T): T | null => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof ContractError)) throw error;
      problems.push(...error.problems);
      return null;
    }
  };
  const parseChat = attempt(() => compileChat(file));
  const renderError = attempt(() => compileErrors(file, docsBase));
  if (file.keys.users === 'from_key_or_headers' && !(file.keys.userHeader && file.keys.projectHeader)) {
    problems.push(`${file.name}: keys: userHeader and projectHeader must be named`);
  }
  if (parseChat === null || renderError === null || problems.length > 0) throw new ContractError(problems);
  return {
    name: file.name,
    prefix: file.prefix,
    basePath: file.prefix + file.base,
    parseChat,
    readers: singleReaders(file),
    refusesUnknown: file.unknownParameters === 'refuse',
    readUsage: usageRule(file.usageInStream),
    endpoints: file.endpoints,
    paths: new Set(file.paths),
    renderError,
    identify: compileKeyRules(file.keys),
    requestLimitHeaders: limitHeaders(file.rateLimitHeaders.requests),
    tokenLimitHeaders: limitHeaders(file.rateLimitHeaders.tokens),
    contextMargin: file.contextMargin,
    contentTypeRequired: file.contentType === 'required',
    modelFields: file.models.fields,
    hasCatalog: file.models.prices === 'catalog',
    answers: { schemas: file.schemas, ...file.answers },
    keepAlive: file.keepAlive ?? null,
    advice: new Map(Object.entries(file.advice)),
  };
}

function singleReaders({ parameters }: ProfileFile): Map<string, Reader> {
  const readers = new Map<string, Reader>();
  for (const [name, rule] of Object.entries(parameters)) {
    const read = rule.unsupported === undefined ? compileReader(name, rule) : null;
    if (read !== null) readers.set(name, read);
  }
  return readers;
}

function limitHeaders(names: ProfileFile['rateLimitHeaders']['requests']): LimitHeaderNames | null {
  if (names === undefined) return null;
  return { limit: names.limit ?? null, remaining: names.remaining ?? null, reset: names.reset ?? null };
}
