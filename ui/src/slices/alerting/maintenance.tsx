/** Maintenance windows: items under maintenance do not page. */
import { NumberInput, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { changeMaintenance, createMaintenance, endMaintenance, maintenanceQuery } from '@/api/alerting';
import { itemsQuery } from '@/api/inventory';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { localTime } from '@/parts/tags';
import { later } from '@/parts/time';
import { complain, say } from '@/parts/toast';

export function MaintenanceCard() {
  const windows = useQuery(maintenanceQuery);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const again = () => void queries.invalidateQueries({ queryKey: ['maintenance'] });
  const current = (windows.data?.items ?? []).filter((w) => w.phase !== 'expired');
  return (
    <Card
      title="Maintenance"
      flush
      aside={
        <Guarded permission="maintenance.write" onClick={() => setAdding(true)}>
          Add
        </Guarded>
      }
    >
      <Shown
        query={windows}
        what="Maintenance"
        empty={{
          when: () => current.length === 0,
          show: (
            <Empty title="No maintenance windows">
              Alerts of items in a maintenance window, and of their dependents, open no incident.
            </Empty>
          ),
        }}
      >
        {() => (
          <>
            {current.map((window) => (
              <div className="line" key={window.id}>
                <div style={{ minWidth: 0 }}>
                  <StatusBadge status="maintenance">{window.title}</StatusBadge>
                  <div className="muted break">
                    {window.selector ?? `${window.items.length} items`} ·{' '}
                    {window.phase === 'pending' ? 'starts' : 'ends'}{' '}
                    <Ago at={window.phase === 'pending' ? window.starts_at : window.ends_at} />
                  </div>
                </div>
                <span className="row wrap" style={{ justifyContent: 'flex-end' }}>
                  <Guarded
                    permission="maintenance.write"
                    tone="quiet"
                    onClick={() =>
                      void changeMaintenance(window, { ends_at: later(window.ends_at) }).then(again, (e) =>
                        complain(e, 'Not changed'),
                      )
                    }
                  >
                    + 1 h
                  </Guarded>
                  <Guarded
                    permission="maintenance.write"
                    onClick={() =>
                      void endMaintenance(window.id).then(again, (e) => complain(e, 'Maintenance not ended'))
                    }
                  >
                    {window.phase === 'pending' ? 'Cancel' : 'End now'}
                  </Guarded>
                </span>
              </div>
            ))}
          </>
        )}
      </Shown>
      {adding && <AddDialog close={() => setAdding(false)} done={again} />}
    </Card>
  );
}

function AddDialog({ close, done }: { close: () => void; done: () => void }) {
  const [title, setTitle] = useState('');
  const [selector, setSelector] = useState('');
  const [hours, setHours] = useState(1);
  const [from, setFrom] = useState('');
  const [settled] = useDebouncedValue(selector.trim(), 250);
  const meant = useQuery({ ...itemsQuery(settled, 100), enabled: settled !== '', retry: false });
  const start = from === '' ? Date.now() : Date.parse(from);
  return (
    <FormDialog
      title="Add maintenance window"
      open
      close={close}
      verb={from === '' ? `Start maintenance for ${hours} h` : `Schedule maintenance for ${hours} h`}
      submit={async () => {
        await createMaintenance({
          title,
          items: [],
          selector,
          with_dependents: true,
          starts_at: from === '' ? undefined : new Date(start).toISOString(),
          ends_at: new Date(start + hours * 3_600_000).toISOString(),
        });
        say(from === '' ? 'Maintenance started; it ends automatically' : 'Scheduled; it starts and ends automatically');
        done();
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Title"
            required
            data-autofocus
            value={title}
            onChange={(e) => setTitle(e.currentTarget.value)}
            error={fault('title')}
          />
          <TextInput
            label="Items"
            description="A selector; includes what runs on them and their dependents."
            placeholder="kind=host name=web-*"
            required
            value={selector}
            onChange={(e) => setSelector(e.currentTarget.value)}
            error={fault('selector')}
          />
          <div aria-live="polite" className="muted break">
            {settled !== '' &&
              (meant.isError
                ? meant.error.message
                : meant.data &&
                  `${meant.data.next ? 'More than ' : ''}${plural(meant.data.items.length, 'item')}: ${
                    meant.data.items
                      .slice(0, 6)
                      .map((i) => i.name)
                      .join(', ') || 'none match now'
                  }${meant.data.items.length > 6 ? '…' : ''}`)}
          </div>
          <div className="row" style={{ alignItems: 'flex-start' }}>
            <TextInput
              className="grow"
              label="Start (empty: now)"
              type="datetime-local"
              min={localTime(Date.now())}
              value={from}
              onChange={(e) => setFrom(e.currentTarget.value)}
              error={fault('starts_at')}
            />
            <NumberInput
              label="Duration (hours)"
              min={0.25}
              max={720}
              step={1}
              value={hours}
              onChange={(v) => setHours(typeof v === 'number' ? v : 1)}
              error={fault('ends_at')}
            />
          </div>
        </>
      )}
    </FormDialog>
  );
}
