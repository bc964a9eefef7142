/** Holds what the API's host really answers against its OpenAPI document. */
import { operations } from '@tollgate/cli/openapi/operations';
import { CONTRACTS_FOLDER, readProfileFiles } from '@tollgate/router/contract/load-profiles';
import * as told from '@tollgate/shared/contracts/host/answers';
import type { Reply } from './reply.ts';

const answers = new Map(Object.entries(told));

export interface AnswerWatch {
  /** What some answer had that the document does not tell, or the other way round. */
  faults: Set<string>;
  /** Operations that answered 200. */
  seen: Set<string>;
  look(method: string, path: string, reply: Reply): void;
}

export function watchAnswers(): AnswerWatch {
  const known = operations(readProfileFiles(CONTRACTS_FOLDER).files.get('openai')!).map((operation) => ({
    ...operation,
    pattern: new RegExp(`^${operation.path.replace('{model}', '.+').replace(/\{\w+\}/g, '[^/]+')}$`),
  }));
  const watch: AnswerWatch = {
    faults: new Set(),
    seen: new Set(),
    look(method, path, { status, json }) {
      if (status !== 200) return;
      const bare = path.replace(/\?.*$/, '');
      const operation = known.find((each) => each.method === method.toLowerCase() && each.pattern.test(bare));
      if (operation === undefined) return;
      watch.seen.add(operation.name);
      if (typeof operation.answer === 'object' || json === null) return;
      const { error } = answers.get(operation.answer)!.safeParse(json);
      for (const issue of error?.issues ?? []) {
        watch.faults.add(
          `${operation.name}: ${issue.path.join('.')}: ${JSON.stringify({ ...issue, path: undefined })}`,
        );
      }
    },
  };
  return watch;
}
