/** The outbox: sent, queued and failed messages. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Channel, type Message, messagesQuery, retryMessage } from '@/api/notify';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { complain } from '@/parts/toast';
import { useParam } from '@/parts/url';
import { MessageDrawer } from './messageDrawer';
import { messageStatus } from './messageStatus';

export function Messages({ channels }: { channels: Channel[] }) {
  const messages = useQuery(messagesQuery);
  const queries = useQueryClient();
  const columns = useMemo((): Column<Message>[] => {
    const name = (id: string) => channels.find((c) => c.id === id)?.name ?? id;
    return [
      {
        id: 'state',
        head: 'State',
        value: (m) => messageStatus(m).word,
        cell: (m) => <StatusBadge status={messageStatus(m).status}>{messageStatus(m).word}</StatusBadge>,
        width: 130,
      },
      {
        id: 'title',
        head: 'Message',
        value: (m) => m.title,
        cell: (m) => (
          <>
            <b className="break">{m.title}</b>
            {m.error && <div className="muted break">{m.error}</div>}
          </>
        ),
      },
      {
        id: 'channel',
        head: 'Channel',
        value: (m) => name(m.channel),
        cell: (m) => (
          <span className="muted">
            {name(m.channel)}
            {m.target && ` · ${m.target}`}
          </span>
        ),
        wide: true,
      },
      { id: 'at', head: 'Created', value: (m) => m.created_at, cell: (m) => <Ago at={m.created_at} />, number: true },
      {
        id: 'retry',
        head: '',
        value: () => '',
        cell: (m) =>
          m.state !== 'sent' && (
            <Guarded
              permission="messages.write"
              onClick={() =>
                void retryMessage(m.id).then(() => queries.invalidateQueries({ queryKey: ['messages'] }), complain)
              }
            >
              Retry now
            </Guarded>
          ),
        width: 90,
      },
    ];
  }, [channels, queries]);
  const [open, setOpen] = useParam('message');
  const chosen = messages.data?.items.find((m) => m.id === open) ?? null;
  return (
    <div className="below">
      <Card title="Messages" flush aside="last 50">
        <Shown
          query={messages}
          what="Messages"
          empty={{ when: (p) => p.items.length === 0, show: <Empty title="No messages sent yet" /> }}
        >
          {(page) => (
            <DataTable
              rows={page.items}
              columns={columns}
              id={(m) => m.id}
              label="Messages"
              sort="-at"
              param="sort-message"
              open={(m) => setOpen(m.id)}
            />
          )}
        </Shown>
      </Card>
      <MessageDrawer
        message={chosen}
        channel={channels.find((c) => c.id === chosen?.channel)?.name ?? ''}
        close={() => setOpen('')}
      />
    </div>
  );
}
