/** A text that counts when somebody has finished it (Enter, or leaving the field), not with every letter. */
import { type KeyboardEvent, useState } from 'react';

interface Committed {
  value: string;
  onChange(event: { target: { value: string } }): void;
  onBlur(): void;
  onKeyDown(event: KeyboardEvent): void;
}

/** Props of an input that shows `value`, and follows it when it changes from elsewhere (a link, "Clear all"). */
export function useCommitted(value: string, commit: (text: string) => void): Committed {
  const [typed, setTyped] = useState(value);
  const [known, setKnown] = useState(value);
  if (value !== known) {
    setKnown(value);
    setTyped(value);
  }
  const done = () => {
    const text = typed.trim();
    if (text !== value) commit(text);
  };
  return {
    value: typed,
    onChange: (event) => setTyped(event.target.value),
    onBlur: done,
    onKeyDown: (event) => {
      if (event.key === 'Enter') done();
    },
  };
}
