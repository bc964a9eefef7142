/** Modals on Base UI: the page behind is inert, focus goes in and comes back. */
import { Dialog } from '@base-ui/react/dialog';
import { X } from 'lucide-react';
import { type ReactNode, type RefObject, useRef, useState } from 'react';
import { Button } from './button.tsx';
import { TextField } from './field.tsx';

interface ModalProps {
  open: boolean;
  onClose(): void;
  title: ReactNode;
  description?: ReactNode;
  children?: ReactNode;
  footer?: ReactNode;
  /** Neither Esc, nor a click outside, nor a cross closes it: only what stands in it. */
  locked?: boolean;
  wide?: boolean;
  initialFocus?: RefObject<HTMLElement | null>;
}

/** Where a person goes on: the first field, else the last button (which does what the title asks), else the default. */
function firstControl(popup: HTMLElement | null): HTMLElement | true {
  const field = popup?.querySelector<HTMLElement>('[data-modal-body] :is(input, select, textarea):not(:disabled)');
  return field ?? [...(popup?.querySelectorAll<HTMLElement>('footer button:not(:disabled)') ?? [])].at(-1) ?? true;
}

export function Modal({ open, onClose, title, description, children, footer, locked, wide, initialFocus }: ModalProps) {
  const popup = useRef<HTMLDivElement>(null);
  return (
    <Dialog.Root
      open={open}
      disablePointerDismissal={locked ?? false}
      onOpenChange={(next, details) => {
        if (next) return;
        if (locked) details.cancel();
        else onClose();
      }}
    >
      <Dialog.Portal>
        <Dialog.Backdrop className="backdrop z-40" />
        <Dialog.Viewport className="fixed inset-0 z-50 grid items-end overflow-y-auto p-0 sm:place-items-center sm:p-6">
          <Dialog.Popup
            initialFocus={() => initialFocus?.current ?? firstControl(popup.current)}
            ref={popup}
            className={`popup card flex max-h-dvh w-full flex-col rounded-b-none shadow-float sm:max-h-[min(46rem,92dvh)] sm:rounded-b-xl ${wide ? 'sm:max-w-2xl' : 'sm:max-w-lg'}`}
          >
            <header className="flex items-start gap-4 border-b border-line px-5 py-4">
              <div className="min-w-0 flex-1">
                <Dialog.Title className="text-lg font-semibold">{title}</Dialog.Title>
                {description ? (
                  <Dialog.Description className="mt-0.5 text-sm text-muted">{description}</Dialog.Description>
                ) : null}
              </div>
              {locked ? null : (
                <Button look="ghost" square aria-label="Close" onClick={onClose} className="-mr-2 -mt-1">
                  <X size={18} aria-hidden="true" />
                </Button>
              )}
            </header>
            <div data-modal-body className="min-h-0 flex-1 overflow-y-auto px-5 py-4">
              {children}
            </div>
            {footer ? (
              <footer className="flex flex-wrap justify-end gap-2 border-t border-line px-5 py-3">{footer}</footer>
            ) : null}
          </Dialog.Popup>
        </Dialog.Viewport>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

interface ConfirmProps {
  open: boolean;
  onClose(): void;
  title: ReactNode;
  description: ReactNode;
  /** What must be typed before the button works; for what cannot be undone. */
  typed?: string;
  action: string;
  pending?: boolean;
  error?: string | null;
  onConfirm(): void;
  children?: ReactNode;
  harmless?: boolean;
}

export function Confirm(props: ConfirmProps) {
  const { open, onClose, title, description, typed, action, pending, error, onConfirm, children, harmless } = props;
  const [text, setText] = useState('');
  const ready = typed === undefined || text.trim() === typed.trim();
  return (
    <Modal
      open={open}
      onClose={() => {
        setText('');
        onClose();
      }}
      title={title}
      description={description}
      footer={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            look={harmless ? 'primary' : 'danger'}
            disabled={!ready}
            pending={pending ?? false}
            type="submit"
            form="confirm"
          >
            {action}
          </Button>
        </>
      }
    >
      <form
        id="confirm"
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !pending) onConfirm();
        }}
      >
        {children}
        {typed === undefined ? null : (
          <TextField
            label={
              <>
                Type <code className="rounded bg-sunken px-1">{typed}</code> to confirm
              </>
            }
            value={text}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => setText(event.target.value)}
          />
        )}
        {error ? (
          <p role="alert" className="text-sm font-medium text-bad">
            {error}
          </p>
        ) : null}
      </form>
    </Modal>
  );
}
