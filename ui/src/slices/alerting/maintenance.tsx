/** Maintenance windows: what is worked on does not page. */
import { NumberInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createMaintenance, endMaintenance, maintenanceQuery } from '@/api/alerting';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
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
            <Empty title="Nothing is in maintenance">
              Alerts of items in a window, and of what depends on them, open no incident.
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
                    {window.phase === 'pending' ? 'begins' : 'ends'}{' '}
                    <Ago at={window.phase === 'pending' ? window.starts_at : window.ends_at} />
                  </div>
                </div>
                <Guarded
                  permission="maintenance.write"
                  onClick={() => void endMaintenance(window.id).then(again, (e) => complain(e, 'Not ended'))}
                >
                  End now
                </Guarded>
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
  return (
    <FormDialog
      title="Add maintenance, from now on"
      open
      close={close}
      verb={`Begin, for ${hours} h`}
      submit={async () => {
        await createMaintenance({
          title,
          items: [],
          selector,
          with_dependents: true,
          ends_at: new Date(Date.now() + hours * 3_600_000).toISOString(),
        });
        say('In maintenance; it ends by itself');
        done();
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="What is done"
            required
            data-autofocus
            value={title}
            onChange={(e) => setTitle(e.currentTarget.value)}
            error={fault('title')}
          />
          <TextInput
            label="On which items"
            description="A selector; what runs on them and depends on them is meant too."
            placeholder="kind=host name=web-*"
            required
            value={selector}
            onChange={(e) => setSelector(e.currentTarget.value)}
            error={fault('selector')}
          />
          <NumberInput
            label="Hours"
            min={0.25}
            max={720}
            step={1}
            value={hours}
            onChange={(v) => setHours(typeof v === 'number' ? v : 1)}
            error={fault('ends_at')}
          />
        </>
      )}
    </FormDialog>
  );
}
