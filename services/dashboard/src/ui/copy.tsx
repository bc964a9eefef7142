/** Copying, honestly: where the browser forbids it, the text is selected and the person is told which keys to press. */
import { Check, Copy, TriangleAlert } from 'lucide-react';
import { useEffect, useId, useRef, useState } from 'react';
import { Button } from './button.tsx';

/** Why a copy did not happen, in words; null when it did. */
export async function copyText(text: string): Promise<string | null> {
  if (!navigator.clipboard) {
    return isSecureContext
      ? 'This browser offers no clipboard.'
      : 'Browsers allow copying only over https or on localhost.';
  }
  try {
    await navigator.clipboard.writeText(text);
    return null;
  } catch {
    return 'The browser did not allow copying.';
  }
}

function useCopy() {
  const [state, setState] = useState<{ done: boolean; why: string | null }>({ done: false, why: null });
  useEffect(() => {
    if (!state.done) return;
    const timer = setTimeout(() => setState({ done: false, why: null }), 2_000);
    return () => clearTimeout(timer);
  }, [state.done]);
  return {
    ...state,
    async copy(text: string) {
      const why = await copyText(text);
      setState({ done: why === null, why });
      return why === null;
    },
  };
}

/** An icon that copies; says so aloud. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const { done, why, copy } = useCopy();
  return (
    <>
      <Button
        look="ghost"
        square
        aria-label={label}
        title={why ?? label}
        onClick={() => void copy(text)}
        className="text-muted"
      >
        {done ? (
          <Check size={15} className="text-ok" aria-hidden="true" />
        ) : why ? (
          <TriangleAlert size={15} className="text-warn" aria-hidden="true" />
        ) : (
          <Copy size={15} aria-hidden="true" />
        )}
      </Button>
      <span role="status" className="sr-only">
        {done ? 'Copied' : (why ?? '')}
      </span>
    </>
  );
}

/** A line of text that can be selected whole and copied: keys, commands, addresses. */
export function CopyLine({ text, label, secret }: { text: string; label: string; secret?: boolean }) {
  const { done, why, copy } = useCopy();
  const box = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  const lines = text.split('\n').length;
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      <div className="flex items-start gap-2 rounded-lg border border-line bg-sunken p-1.5 pl-3">
        <textarea
          ref={box}
          id={id}
          readOnly
          rows={lines}
          wrap={lines > 1 ? 'off' : 'soft'}
          value={text}
          data-secret={secret || undefined}
          spellCheck={false}
          onFocus={(event) => event.target.select()}
          className="field-sizing-content min-h-6 w-full resize-none self-center bg-transparent py-1 font-mono text-sm break-all"
        />
        <Button
          onClick={async () => {
            if (!(await copy(text))) box.current?.select();
          }}
          icon={done ? <Check size={15} aria-hidden="true" /> : <Copy size={15} aria-hidden="true" />}
        >
          {done ? 'Copied' : 'Copy'}
        </Button>
      </div>
      <p role="status" className="text-xs text-warn empty:hidden">
        {why ? `${why} The text is selected: press Ctrl+C (Mac: ⌘C).` : ''}
      </p>
    </div>
  );
}
