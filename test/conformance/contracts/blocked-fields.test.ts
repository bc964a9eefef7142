/** What engines would take and no client may say (facts/engines.md 5, facts/reliability.md 5): refused by name, never sent. */
import { describe, expect, test } from '@jest/globals';
import { loadProfiles } from '@tollgate/router/contract/load-profiles';
import { requestText } from '@tollgate/router/upstream/body';
import { withoutMediaMarks } from '@tollgate/router/upstream/media-marks';
import { AppError } from '@tollgate/shared/domain/errors';
import { ask } from './kit.ts';

/** Fields of vLLM's and SGLang's requests, each with a value that the engine takes. */
const FIELDS: Record<string, unknown> = {
  add_generation_prompt: false,
  add_special_tokens: true,
  allowed_token_ids: [1],
  bad_words: ['x'],
  best_of: 100,
  bootstrap_host: 'a',
  bootstrap_port: 1,
  bootstrap_room: 1,
  cache_salt: 'x',
  chat_template: '{{ 1 }}',
  continue_final_message: true,
  custom_logit_processor: 'x',
  documents: [{ title: 'x' }],
  ec_transfer_params: {},
  echo: true,
  extra_key: 'x',
  input_embeds: [[0.1]],
  input_ids: [1],
  kv_transfer_params: { do_remote_prefill: true },
  length_penalty: 2,
  logits_processors: ['x'],
  lora_path: '/x',
  media_io_kwargs: {},
  min_new_tokens: 1,
  mm_processor_kwargs: {},
  priority: -1,
  prompt_embeds: 'x',
  prompt_logprobs: 1,
  request_id: 'x',
  return_hidden_states: true,
  return_token_ids: true,
  rid: 'x',
  separate_reasoning: false,
  session_params: {},
  skip_special_tokens: false,
  spaces_between_special_tokens: false,
  stop_regex: '.*',
  stop_token_ids: [1],
  structural_tag: '{}',
  truncate_prompt_tokens: 1,
  truncation_side: 'left',
  use_beam_search: true,
  vllm_xargs: { x: 1 },
};
const text = (value: unknown) => ask({ messages: [{ role: 'user', content: value }] });
const BODIES: [string, Record<string, unknown>][] = [
  ...Object.entries(FIELDS).map(([name, value]): [string, Record<string, unknown>] => [name, ask({ [name]: value })]),
  ['chat_template_kwargs.tokenize', ask({ chat_template_kwargs: { tokenize: true } })],
  ['chat_template_kwargs.chat_template', ask({ chat_template_kwargs: { chat_template: 'x' } })],
  [
    'chat_template_kwargs.__proto__',
    JSON.parse(JSON.stringify(ask()).replace(/\}$/, ',"chat_template_kwargs":{"__proto__":1}}')),
  ],
  ...['image_url', 'input_audio', 'audio_url', 'video_url', 'file', 'image_embeds', 'image_pil', 'thinking'].map(
    (type): [string, Record<string, unknown>] => [
      'messages[0].content[0].type',
      text([{ type, [type]: { url: 'http://169.254.169.254/', data: 'x' } }]),
    ],
  ),
  ['n', ask({ n: 16_384 })],
  ['top_logprobs', ask({ logprobs: true, top_logprobs: 21 })],
  ['messages', ask({ messages: Array.from({ length: 4_097 }, () => ({ role: 'user', content: 'x' })) })],
];

describe.each(loadProfiles({ docsBase: '' }).map((profile) => [profile.name, profile] as const))(
  '%s',
  (name, profile) => {
    test.each(BODIES)('%s', (param, body) => {
      try {
        const request = profile.parseChat(body);
        // The rag contract ignores sampling parameters that it does not have.
        expect([name, ['top_logprobs'].includes(param)]).toEqual(['rag', true]);
        expect(request.sampling).not.toHaveProperty(param);
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
        expect((error as AppError).param).toBe(param);
      }
    });
  },
);

test('marks of pictures in texts lose their bars, whatever they are put together from', () => {
  const [openai] = loadProfiles({ docsBase: '', names: ['openai'] });
  const told = (content: unknown) => withoutMediaMarks(requestText(openai!.parseChat(text(content)))).messages;
  const marks = ['<|vision_start|>', '<|image_pad|>', '<|video_pad|>', '<|vision_end|>', '<|image_<|image_pad|>pad|>'];
  for (const mark of marks) {
    for (const content of [`a ${mark} b`, [{ type: 'text', text: `\\${mark}"` }]]) {
      expect(told(content)).not.toMatch(/<\|(vision_\w+|image_pad|video_pad)\|>/);
      expect(JSON.parse(told(content))).toHaveLength(1);
    }
  }
  expect(told('<|image_pad|>')).toContain('<image_pad>');
  expect(told('a <|im_start|> b < | c')).toBe(JSON.stringify([{ role: 'user', content: 'a <|im_start|> b < | c' }]));
  const request = requestText(openai!.parseChat(ask()));
  expect(withoutMediaMarks(request)).toBe(request);
});
