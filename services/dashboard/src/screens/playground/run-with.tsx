/** Whose limits and budget a run uses: the session's own key, or one that is pasted. */
import { useState } from 'react';
import { Button } from '../../ui/button.tsx';
import { SelectField, TextField } from '../../ui/field.tsx';
import { looksLikeKey, type PastedKey, pasteKey, usePastedKeys } from './pasted-keys.ts';

interface Props {
  value: PastedKey | null;
  onChange(key: PastedKey | null): void;
}

const PASTE = 'paste';

export function RunWith({ value, onChange }: Props) {
  const keys = usePastedKeys();
  const [pasting, setPasting] = useState(false);
  const [text, setText] = useState('');
  const use = () => {
    if (!looksLikeKey(text)) return;
    onChange(pasteKey(text));
    setText('');
    setPasting(false);
  };
  return (
    <div className="flex flex-col gap-3">
      <SelectField
        label="Run with"
        hint={value ? 'Its limits, models and caps apply.' : 'A key of your own, made for an hour.'}
        value={pasting ? PASTE : (value?.name ?? '')}
        onChange={(event) => {
          const chosen = event.target.value;
          setPasting(chosen === PASTE);
          if (chosen !== PASTE) onChange(keys.find(({ name }) => name === chosen) ?? null);
        }}
      >
        <option value="">Your session</option>
        {keys.map(({ name }) => (
          <option key={name}>{name}</option>
        ))}
        <option value={PASTE}>Paste a key …</option>
      </SelectField>
      {pasting ? (
        <div className="flex items-end gap-2">
          <TextField
            className="flex-1"
            label="Key of this organisation"
            type="password"
            autoComplete="off"
            spellCheck={false}
            placeholder="tg_live_…"
            value={text}
            error={text !== '' && !looksLikeKey(text) ? 'Not a whole key yet.' : null}
            onChange={(event) => setText(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== 'Enter') return;
              event.preventDefault();
              use();
            }}
          />
          <Button disabled={!looksLikeKey(text)} onClick={use}>
            Use
          </Button>
        </div>
      ) : null}
    </div>
  );
}
