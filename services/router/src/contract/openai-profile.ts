import { openAiError } from '@tollgate/shared/contracts/openai/error';
import { parseOpenAiChat } from './openai-chat.ts';
import type { ContractProfile } from './profile.ts';

/** OpenAI's chat contract at `/v1`. `docsBase` = where the page of each error code lies. */
export function openAiProfile(docsBase: string): ContractProfile {
  const base = docsBase.replace(/\/+$/, '');
  return {
    name: 'openai',
    basePath: '/v1',
    parseChat: parseOpenAiChat,
    renderError: (error) => openAiError(error, base),
  };
}
