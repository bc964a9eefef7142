/**
 * Going on with an answer: the tokens that are left of it, when what has been said is what this model would have said.
 * A greedy or seeded model says the same again, so that an answer cut anywhere and continued is the whole answer.
 */
import type { Tokenizer } from '../model/bpe.ts';
import { createChoice } from './choice.ts';
import type { Continued, Job } from './job.ts';
import type { TokenPlan } from './plan.ts';

/** null: it was said otherwise than this model would have; it goes on in its own words. */
export function continuedPlan(
  tokenizer: Tokenizer,
  job: Job,
  said: Continued,
  planOf: (job: Job) => TokenPlan,
): TokenPlan | null {
  const whole: Job = {
    ...job,
    thinking: said.thinking,
    maxTokens: Number.MAX_SAFE_INTEGER,
    minTokens: 0,
    stop: [],
    stopTokenIds: [],
  };
  const plan = planOf(whole);
  // Says the answer from its beginning, until all that was said has been said.
  const again = createChoice(tokenizer, { ...whole, repetition: undefined }, 0, plan);
  const want = said.reasoning + said.content;
  while (again.reasoning.length + again.content.length < want.length && again.finish === undefined) again.step();
  if (!again.reasoning.startsWith(said.reasoning) || !again.content.startsWith(said.content)) return null;
  if (said.content !== '' && again.reasoning !== said.reasoning) return null;
  const rest = again.content.slice(said.content.length) || again.reasoning.slice(said.reasoning.length);
  // A stop string was held back in the middle of a token: the rest of that token comes first.
  const first = rest === '' ? [] : tokenizer.encodePlain(rest);
  let at = 0;
  return { next: () => (at < first.length ? first[at++]! : plan.next()) };
}
