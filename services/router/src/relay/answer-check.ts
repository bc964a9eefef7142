/** Follows the choices of one answer and says whether each kept its promise: schema, tool parameters, white space. */
import type { AnswerChecks } from '../answer-form.ts';
import { StructuredAnswer } from '../schema-gate/outcome.ts';
import type { Violation } from '../schema-gate/validate.ts';

/** What a choice is worth at its end. `cut`: the reason that the worker gives would promise a whole document. */
export type ChoiceVerdict = { kind: 'fine' } | { kind: 'cut' } | { kind: 'invalid'; violation: Violation };

const FINE: ChoiceVerdict = { kind: 'fine' };

export class AnswerCheck {
  private readonly checks: AnswerChecks;
  private readonly choices: StructuredAnswer[] = [];

  constructor(checks: AnswerChecks) {
    this.checks = checks;
  }

  /** Adds text of a choice; false: it runs away, cancel it. */
  push(choice: number, text: string): boolean {
    return !this.checks.constrained || this.choice(choice).push(text);
  }

  /** `reason` and `stopReason` as the worker says them. */
  finish(choice: number, reason: string, stopReason: unknown): ChoiceVerdict {
    if (!this.checks.constrained || reason === 'tool_calls') return FINE;
    const outcome = this.choice(choice).finish(reason, stopReason);
    if (outcome.kind === 'cut') return reason === 'stop' ? { kind: 'cut' } : FINE;
    return outcome.kind === 'invalid' && this.checks.onInvalid !== 'pass' ? outcome : FINE;
  }

  /** `text`: whole arguments of a call, valid JSON. */
  toolCall(name: string, text: string): ChoiceVerdict {
    const violation = this.checks.tools.get(name)?.(text);
    return violation === undefined || this.checks.onInvalid === 'pass' ? FINE : { kind: 'invalid', violation };
  }

  private choice(index: number): StructuredAnswer {
    let answer = this.choices[index];
    if (answer === undefined) {
      answer = new StructuredAnswer(this.checks.document, this.checks.json);
      this.choices[index] = answer;
    }
    return answer;
  }
}
