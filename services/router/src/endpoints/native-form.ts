/** A promised form of an answer that is no chat answer: how its text is followed, and how the constraint is sent. */
import type { AnswerChecks } from '../answer-form.ts';
import { isObject, type JsonObject } from '../contract/checks.ts';
import { AnswerCheck } from '../relay/answer-check.ts';
import { judgeArguments } from '../relay/tool-arguments.ts';
import type { TextWatch } from '../relay/typed-reader.ts';
import type { EngineConstraint } from '../schema-gate/constraint.ts';
import type { Violation } from '../schema-gate/validate.ts';

/** null when nothing was promised. */
export function textWatch(checks: AnswerChecks | null): TextWatch | null {
  if (checks === null || !checks.constrained) return null;
  const check = new AnswerCheck(checks);
  return { push: (text) => check.push(0, text) };
}

export interface FinishedAnswer {
  /** As OpenAI's chat would say it. */
  reason: string;
  /** All text of the answer, thoughts not counted. */
  text: string;
  calls: readonly { name: string; arguments: string }[];
}

/** What a finished answer breaks; undefined = it is what was promised. */
export function judgeAnswer(
  checks: AnswerChecks | null,
  { reason, text, calls }: FinishedAnswer,
): Violation | undefined {
  const check = checks === null ? null : new AnswerCheck(checks);
  if (reason !== 'length') {
    for (const call of calls) {
      const verdict = judgeArguments(call.name, call.arguments, check);
      if (verdict.kind === 'cut')
        return { pointer: '', keyword: 'json', message: 'the arguments of a call are not whole' };
      if (verdict.kind === 'invalid') return verdict.violation;
    }
  }
  if (check === null || calls.length > 0) return undefined;
  check.push(0, text);
  const verdict = check.finish(0, reason, null);
  return verdict.kind === 'invalid' ? verdict.violation : undefined;
}

/** The schema that the gate lets a vLLM have, in whichever of its words it was written. */
export function schemaOf({ structured_outputs: now, guided_json: before }: EngineConstraint): JsonObject | null {
  const schema = isObject(now) ? now.json : before;
  return isObject(schema) ? schema : null;
}
