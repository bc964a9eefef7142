/** Files into a collection: dropped or chosen, sent two at a time, each with its progress and its own failure. */
import { useQueryClient } from '@tanstack/react-query';
import type { CollectionFileView } from '@tollgate/shared/contracts/console/collections';
import { FileUp, X } from 'lucide-react';
import { type DragEvent, useEffect, useRef, useState } from 'react';
import { account } from '../../api/queries.ts';
import { upload } from '../../api/upload.ts';
import { useSession } from '../../app/session.tsx';
import { bytes, percent } from '../../lib/numbers.ts';
import { Button } from '../../ui/button.tsx';
import { Badge, Bar, messageOf } from '../../ui/parts.tsx';
import { changed, chosen, type Sending, sentShare, toStart } from './queue.ts';

/** What the parsers read; the server decides by content. */
const ACCEPT = '.txt,.md,.markdown,.html,.htm,.pdf,.json,.jsonl,.csv,.tsv,text/*,application/pdf,application/json';

interface Props {
  collectionId: string;
  project: string | undefined;
  maxBytes: number;
}

export function UploadArea({ collectionId, project, maxBytes }: Props) {
  const { accountId } = useSession();
  const client = useQueryClient();
  const [lines, setLines] = useState<Sending[]>([]);
  const [over, setOver] = useState(false);
  const files = useRef(new Map<number, { file: File; stop: AbortController }>());
  const lastId = useRef(0);
  const input = useRef<HTMLInputElement>(null);

  const add = (list: FileList | null) => {
    const added = [...(list ?? [])];
    const fresh = chosen(added, lastId.current + 1, maxBytes);
    lastId.current += added.length;
    for (const [index, { id, state }] of fresh.entries()) {
      if (state === 'waiting') files.current.set(id, { file: added[index]!, stop: new AbortController() });
    }
    setLines((old) => [...old.filter(({ state }) => state !== 'done'), ...fresh]);
  };

  useEffect(() => {
    const set = (id: number, change: Partial<Sending>) => setLines((old) => changed(old, id, change));
    for (const id of toStart(lines)) {
      const entry = files.current.get(id);
      if (!entry) continue;
      set(id, { state: 'sending' });
      upload<CollectionFileView>(`${account(accountId)}/collections/${collectionId}/files`, {
        query: { filename: entry.file.name, projectId: project },
        file: entry.file,
        onProgress: (sent) => set(id, { sent }),
        signal: entry.stop.signal,
      })
        .then(
          () => set(id, { state: 'done', sent: entry.file.size }),
          (error: unknown) => set(id, { state: 'failed', error: messageOf(error) }),
        )
        .finally(() => {
          files.current.delete(id);
          void client.invalidateQueries({ queryKey: ['collection-files', collectionId] });
          void client.invalidateQueries({ queryKey: ['collections', accountId] });
        });
    }
  }, [lines, accountId, collectionId, project, client]);
  useEffect(() => {
    const sending = files.current;
    return () => {
      for (const { stop } of sending.values()) stop.abort();
    };
  }, []);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    add(event.dataTransfer.files);
  };
  return (
    <section aria-label="Upload files" className="flex flex-col gap-3">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: a place to drop on; the button in it does the same by keyboard */}
      <div
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
        data-drop
        className={`flex flex-wrap items-center justify-center gap-x-4 gap-y-2 rounded-xl border-2 border-dashed px-4 py-6 text-center ${over ? 'border-accent bg-accent-soft' : 'border-line-strong bg-surface'}`}
      >
        <FileUp size={22} className="text-faint" aria-hidden="true" />
        <p className="text-sm text-muted">
          Drop files here: text, Markdown, HTML, PDF, JSON, CSV, up to {bytes(maxBytes)} each.
        </p>
        <Button look="primary" onClick={() => input.current?.click()}>
          Choose files
        </Button>
        <input
          ref={input}
          type="file"
          multiple
          accept={ACCEPT}
          className="hidden"
          aria-label="Files to upload"
          tabIndex={-1}
          onChange={(event) => {
            add(event.target.files);
            // The same file can be chosen again.
            event.target.value = '';
          }}
        />
      </div>
      {lines.length > 0 ? (
        <ul className="card divide-y divide-line" aria-label="Uploads">
          {lines.map((line) => (
            <Line
              key={line.id}
              line={line}
              onStop={() => {
                files.current.get(line.id)?.stop.abort();
                if (line.state !== 'sending') setLines((old) => old.filter(({ id }) => id !== line.id));
              }}
            />
          ))}
        </ul>
      ) : null}
    </section>
  );
}

const STATES = {
  waiting: ['plain', 'waiting'],
  sending: ['info', 'uploading'],
  done: ['ok', 'uploaded'],
  failed: ['bad', 'failed'],
} as const;

function Line({ line, onStop }: { line: Sending; onStop(): void }) {
  const [tone, name] = STATES[line.state];
  return (
    <li className="grid grid-cols-[1fr_auto_auto] items-center gap-x-3 gap-y-1 px-4 py-2">
      <span className="min-w-0 truncate text-sm font-medium">
        {line.name} <span className="num font-normal text-muted">{bytes(line.size)}</span>
      </span>
      <Badge tone={tone}>{line.state === 'sending' ? percent(sentShare(line)) : name}</Badge>
      <Button
        look="ghost"
        square
        aria-label={line.state === 'sending' ? `Stop ${line.name}` : `Clear ${line.name}`}
        onClick={onStop}
      >
        <X size={15} aria-hidden="true" />
      </Button>
      {line.state === 'sending' ? (
        <div className="col-span-3">
          <Bar share={sentShare(line)} label={`Upload of ${line.name}`} tone="ok" />
        </div>
      ) : null}
      {line.error ? (
        <p role="alert" className="col-span-3 text-sm text-bad">
          {line.error}
        </p>
      ) : null}
    </li>
  );
}
