/** Notification channels, with a test that shows its result, and what was sent. */
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type Channel, channelsQuery, deleteChannel, switchChannel, testChannel } from '@/api/notify';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { ConfirmDialog } from '@/parts/dialog';
import { PublicUrlWarning } from '@/parts/publicUrl';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { complain, say } from '@/parts/toast';
import { ChannelDialog } from './channelDialog';
import { Messages } from './messages';

export function leadsTo(channel: Channel): string {
  const c = channel.config;
  if (c.type === 'email') return `e-mail to ${c.to.join(', ')}`;
  if (c.type === 'webhook') return `webhook ${c.url}`;
  if (c.type === 'matrix') return `Matrix ${c.room}`;
  return 'Slack-compatible webhook';
}

export function Channels() {
  const channels = useQuery(channelsQuery);
  const [adding, setAdding] = useState(false);
  return (
    <>
      <div className="below">
        <PublicUrlWarning what="Links in notifications" />
      </div>
      <div className="below">
        <Card
          title="Channels"
          flush
          aside={
            <Guarded permission="channels.write" onClick={() => setAdding(true)}>
              Add channel
            </Guarded>
          }
        >
          <Shown
            query={channels}
            what="Channels"
            empty={{
              when: (p) => p.items.length === 0,
              show: (
                <Empty title="No channels: nobody is notified">
                  Add e-mail, a webhook, Slack or Matrix, and send a test.
                </Empty>
              ),
            }}
          >
            {(page) => (
              <>
                {page.items.map((channel) => (
                  <Line key={channel.id} channel={channel} />
                ))}
              </>
            )}
          </Shown>
        </Card>
      </div>
      <Messages channels={channels.data?.items ?? []} />
      {adding && <ChannelDialog close={() => setAdding(false)} />}
    </>
  );
}

function Line({ channel }: { channel: Channel }) {
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  const [outcome, setOutcome] = useState<{ is_delivered: boolean; errors: string[] } | null>(null);
  const [ending, end] = useState(false);
  const [changing, change] = useState(false);
  const again = () => void queries.invalidateQueries({ queryKey: ['channels'] });
  const test = async () => {
    setBusy(true);
    setOutcome(null);
    try {
      setOutcome(await testChannel(channel.id));
    } catch (error) {
      complain(error, 'Test failed');
    }
    setBusy(false);
    again();
  };
  const status = !channel.is_enabled ? 'maintenance' : channel.error ? 'critical' : channel.sent_at ? 'ok' : 'unknown';
  return (
    <div className="line" style={{ flexWrap: 'wrap' }}>
      <div style={{ minWidth: 0, flex: '1 1 300px' }}>
        <div className="row tight">
          <StatusBadge status={status} />
          <b>{channel.name}</b>
        </div>
        <div className="muted break">
          {leadsTo(channel)} · {channel.subscription.min_severity} and above · last sent <Ago at={channel.sent_at} />
        </div>
        {channel.error && (
          <div className="break" style={{ color: 'var(--critical)' }}>
            {channel.error}
          </div>
        )}
        <div aria-live="polite">
          {outcome && (
            <StatusBadge status={outcome.is_delivered ? 'ok' : 'critical'}>
              {outcome.is_delivered ? 'Test delivered' : 'Test not delivered'}
            </StatusBadge>
          )}
          {outcome?.errors.map((e) => (
            <div className="muted break" key={e}>
              {e}
            </div>
          ))}
        </div>
      </div>
      <div className="row wrap">
        <Guarded permission="channels.write" busy={busy} onClick={() => void test()}>
          Send test
        </Guarded>
        <Guarded permission="channels.write" onClick={() => change(true)} label={`Edit ${channel.name}`}>
          Edit…
        </Guarded>
        <Guarded
          permission="channels.write"
          onClick={() => void switchChannel(channel.id, !channel.is_enabled).then(again, complain)}
        >
          {channel.is_enabled ? 'Pause' : 'Resume'}
        </Guarded>
        <Guarded permission="channels.write" tone="quiet" onClick={() => end(true)} label={`Delete ${channel.name}`}>
          Delete…
        </Guarded>
      </div>
      {changing && <ChannelDialog channel={channel} close={() => change(false)} />}
      {ending && (
        <ConfirmDialog
          title="Delete channel"
          open
          close={() => end(false)}
          verb={`Delete ${channel.name}`}
          name={channel.name}
          submit={async () => {
            await deleteChannel(channel.id);
            say('Deleted');
            again();
          }}
        >
          It sends no more notifications; queued messages are discarded.
        </ConfirmDialog>
      )}
    </div>
  );
}
