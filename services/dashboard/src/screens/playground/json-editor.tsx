/** The JSON Schema editor: CodeMirror with lint, folding and formatting. Loaded when it is first shown. */
import { autocompletion, closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import {
  bracketMatching,
  defaultHighlightStyle,
  foldGutter,
  HighlightStyle,
  indentOnInput,
  syntaxHighlighting,
} from '@codemirror/language';
import { type Diagnostic, linter, lintGutter } from '@codemirror/lint';
import { Compartment, EditorState } from '@codemirror/state';
import { EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { lintSchema } from '../../lib/json/schema-lint.ts';

interface Props {
  value: string;
  onChange(value: string): void;
  strict: boolean;
  /** Runs the request: Ctrl/Cmd+Enter. */
  onRun(): void;
  label: string;
}

const theme = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--surface)', fontSize: '13px', height: '100%' },
  '.cm-scroller': { fontFamily: 'var(--font-mono)', lineHeight: '1.5' },
  '.cm-gutters': { backgroundColor: 'var(--sunken)', color: 'var(--faint)', border: 'none' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--hover) 60%, transparent)' },
  '.cm-activeLineGutter': { backgroundColor: 'var(--hover)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-tooltip': { backgroundColor: 'var(--surface)', color: 'var(--text)', border: '1px solid var(--line-strong)' },
  '.cm-foldPlaceholder': { backgroundColor: 'var(--hover)', color: 'var(--muted)', border: 'none' },
});
/** The default style with our colours, which reach the contrast of text in both themes. */
const COLOURS: Record<string, string> = {
  '#a11': 'var(--ok)',
  '#164': 'var(--warn)',
  '#219': 'var(--info)',
  '#708': 'var(--info)',
  '#f00': 'var(--bad)',
};
const colours = HighlightStyle.define(
  defaultHighlightStyle.specs.map((spec) => ({ tag: spec.tag, color: COLOURS[String(spec.color)] ?? 'var(--text)' })),
);

export default function JsonEditor({ value, onChange, strict, onRun, label }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const lint = useRef(new Compartment());
  const latest = useRef({ onChange, onRun, strict, value });
  latest.current = { onChange, onRun, strict, value };

  useEffect(() => {
    // In a shadow root the editor's styles are sheets of its own, which the console's policy allows; style elements it does not.
    const shadow = host.current!.shadowRoot ?? host.current!.attachShadow({ mode: 'open' });
    const made = new EditorView({
      parent: shadow,
      root: shadow,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          lineNumbers(),
          foldGutter(),
          history(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          highlightActiveLine(),
          json(),
          syntaxHighlighting(colours),
          theme,
          lintGutter(),
          lint.current.of(schemaLinter(latest.current.strict)),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          keymap.of([
            {
              key: 'Mod-Enter',
              run: () => {
                latest.current.onRun();
                return true;
              },
            },
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...historyKeymap,
          ]),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, [label]);

  // A preset or "Format" replaces the text; typing comes from the editor itself.
  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);
  useEffect(() => {
    view.current?.dispatch({ effects: lint.current.reconfigure(schemaLinter(strict)) });
  }, [strict]);

  return <div ref={host} className="h-72 overflow-hidden rounded-lg border border-line-strong" />;
}

const schemaLinter = (strict: boolean) =>
  linter(
    (editor): Diagnostic[] =>
      lintSchema(editor.state.doc.toString(), { strict }).map(({ start, end, severity, message }) => ({
        from: start,
        to: Math.min(end, editor.state.doc.length),
        severity,
        message,
      })),
    { delay: 250 },
  );
