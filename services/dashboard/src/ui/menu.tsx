/** Menus and multi-select filters, on Base UI. */
import { Menu } from '@base-ui/react/menu';
import { ChevronDown, Ellipsis } from 'lucide-react';
import type { ReactNode } from 'react';
import { buttonClass } from './button.tsx';

const POPUP = 'popup card max-h-[min(24rem,70vh)] min-w-48 overflow-y-auto p-1 shadow-float outline-none z-50';
const ITEM =
  'tap flex cursor-pointer items-center gap-2 rounded-md px-2.5 text-sm outline-none data-highlighted:bg-hover data-disabled:opacity-50';

export interface MenuAction {
  label: string;
  icon?: ReactNode;
  danger?: boolean;
  disabled?: boolean;
  onSelect(): void;
}

/** The three dots at the end of a row. */
export function RowMenu({ label, actions }: { label: string; actions: readonly MenuAction[] }) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger aria-label={label} className={buttonClass('ghost', true)}>
        <Ellipsis size={16} aria-hidden="true" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={4} align="end" className="z-50">
          <Menu.Popup className={POPUP}>
            {actions.map((action) => (
              <Menu.Item
                key={action.label}
                disabled={action.disabled ?? false}
                onClick={action.onSelect}
                className={`${ITEM} ${action.danger ? 'text-bad' : ''}`}
              >
                {action.icon}
                {action.label}
              </Menu.Item>
            ))}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}

/** A menu under any trigger, with free content made of `MenuRow` and `MenuLine`. */
export function DropMenu({ trigger, label, children }: { trigger: ReactNode; label: string; children: ReactNode }) {
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="tap flex w-full items-center gap-2 rounded-lg px-2 text-left hover:bg-hover">
        {trigger}
        <span className="sr-only">{label}</span>
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={6} align="start" className="z-50">
          <Menu.Popup className={`${POPUP} min-w-56`}>{children}</Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
export function MenuRow({ onSelect, children }: { onSelect(): void; children: ReactNode }) {
  return (
    <Menu.Item onClick={onSelect} className={ITEM}>
      {children}
    </Menu.Item>
  );
}
export const MenuLine = () => <Menu.Separator className="my-1 h-px bg-line" />;

export interface Choice {
  value: string;
  label: string;
}

interface ChipProps {
  label: string;
  choices: readonly Choice[];
  selected: readonly string[];
  onChange(selected: string[]): void;
}

/** `Model: a, b ▾`: several choices at once; the chip says which. */
export function FilterChip({ label, choices, selected, onChange }: ChipProps) {
  const names = selected.map((value) => choices.find((choice) => choice.value === value)?.label ?? value);
  const text =
    names.length === 0 ? label : `${label}: ${names.length > 2 ? `${names.length} chosen` : names.join(', ')}`;
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger
        className={`${buttonClass('secondary')} max-w-72 ${selected.length > 0 ? 'border-accent! text-accent' : ''}`}
      >
        <span className="truncate">{text}</span>
        <ChevronDown size={14} aria-hidden="true" className="shrink-0" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={4} align="start" className="z-50">
          <Menu.Popup className={POPUP}>
            {choices.length === 0 ? (
              <p className="px-2.5 py-2 text-sm text-muted">Nothing to choose from yet.</p>
            ) : null}
            {choices.map(({ value, label: name }) => (
              <Menu.CheckboxItem
                key={value}
                checked={selected.includes(value)}
                closeOnClick={false}
                onCheckedChange={(checked) =>
                  onChange(checked ? [...selected, value] : selected.filter((item) => item !== value))
                }
                className={ITEM}
              >
                <span className="grid size-4 shrink-0 place-items-center rounded border border-line-strong text-accent">
                  <Menu.CheckboxItemIndicator>✓</Menu.CheckboxItemIndicator>
                </span>
                <span className="max-w-72 truncate">{name}</span>
              </Menu.CheckboxItem>
            ))}
            {selected.length > 0 ? (
              <>
                <MenuLine />
                <Menu.Item onClick={() => onChange([])} className={ITEM}>
                  Clear
                </Menu.Item>
              </>
            ) : null}
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  );
}
