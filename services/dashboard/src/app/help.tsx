/** `?`: the keyboard map, and the switch that turns it off (WCAG 2.1.4). */
import { BINDINGS } from '../lib/keymap.ts';
import { Modal } from '../ui/dialog.tsx';
import { Checkbox } from '../ui/field.tsx';
import { setShortcuts, useShortcuts } from './keyboard.tsx';

const IN_PLACE = [
  ['Ctrl / ⌘ + Enter', 'Run, in the playground'],
  ['Esc', 'Close what is open'],
] as const;
const shown = (keys: string) => keys.replace('mod+', 'Ctrl / ⌘ + ').replace('enter', 'Enter');

export default function Help({ onClose }: { onClose(): void }) {
  const on = useShortcuts();
  const row = (keys: string, title: string) => (
    <li key={keys} className="flex items-center justify-between gap-4 py-1.5">
      <span>{title}</span>
      <kbd className="rounded-md border border-line bg-sunken px-1.5 py-0.5 whitespace-nowrap">{keys}</kbd>
    </li>
  );
  return (
    <Modal open onClose={onClose} title="Keyboard" description="Keys rest while you type.">
      <Checkbox label="Single-key shortcuts" checked={on} onChange={(event) => setShortcuts(event.target.checked)} />
      {(['Everywhere', 'Go to', 'Lists'] as const).map((group) => (
        <section key={group} className="mt-4">
          <h3 className="mb-1 text-xs font-medium text-muted">{group}</h3>
          <ul className="divide-y divide-line">
            {BINDINGS.filter((binding) => binding.group === group).map(({ keys, title }) => row(shown(keys), title))}
            {group === 'Everywhere' ? IN_PLACE.map(([keys, title]) => row(keys, title)) : null}
          </ul>
        </section>
      ))}
    </Modal>
  );
}
