/** Freezes: times in which covered items are left alone. */
import { Switch, TagsInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { createFreeze, endFreeze, type Freeze, freezesQuery } from '@/api/change';
import { Guarded } from '@/parts/action';
import { Ago, Moment, useNow } from '@/parts/ago';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { Empty, Shown } from '@/parts/states';
import { StatusBadge } from '@/parts/status';
import { coverage, localTime, parseTags } from '@/parts/tags';
import { complain, say } from '@/parts/toast';

export function Freezes() {
  const freezes = useQuery(freezesQuery);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const again = () => void queries.invalidateQueries({ queryKey: ['freezes'] });
  return (
    <Card
      title="Freezes"
      flush
      aside={
        <Guarded permission="freezes.write" onClick={() => setAdding(true)} label="Add freeze">
          Add
        </Guarded>
      }
    >
      <Shown
        query={freezes}
        what="Freezes"
        empty={{
          when: (list) => list.length === 0,
          show: (
            <Empty title="No freezes, active or planned">
              During a freeze no run gets a permit for what it covers; low-risk remediation may be let through.
            </Empty>
          ),
        }}
      >
        {(list) => (
          <>
            {list.map((freeze) => (
              <Line
                key={freeze.id}
                freeze={freeze}
                end={() =>
                  void endFreeze(freeze.id)
                    .then(
                      () => say('Freeze ended'),
                      (e) => complain(e, 'Freeze not ended'),
                    )
                    .then(again)
                }
              />
            ))}
          </>
        )}
      </Shown>
      {adding && <AddFreeze close={() => setAdding(false)} done={again} />}
    </Card>
  );
}

function Line({ freeze, end }: { freeze: Freeze; end: () => void }) {
  const isOn = Date.parse(freeze.starts_at) <= useNow();
  return (
    <div className="line">
      <div style={{ minWidth: 0 }}>
        <StatusBadge status={isOn ? 'maintenance' : 'unknown'}>{freeze.title}</StatusBadge>
        <div className="muted break">
          {coverage(freeze.tags)} · {isOn ? 'ends' : 'begins'} <Ago at={isOn ? freeze.ends_at : freeze.starts_at} /> ·{' '}
          <Moment at={freeze.starts_at} /> to <Moment at={freeze.ends_at} />
          {freeze.allows_remediation && ' · low-risk remediation allowed'}
        </div>
      </div>
      <Guarded permission="freezes.write" onClick={end} label={`End the freeze ${freeze.title}`}>
        {isOn ? 'End now' : 'Cancel'}
      </Guarded>
    </div>
  );
}

const HOUR = 3_600_000;

function AddFreeze({ close, done }: { close: () => void; done: () => void }) {
  const [title, setTitle] = useState('');
  const [from, setFrom] = useState(() => localTime(Date.now()));
  const [until, setUntil] = useState(() => localTime(Date.now() + 24 * HOUR));
  const [tags, setTags] = useState<string[]>([]);
  const [lenient, setLenient] = useState(true);
  const parsed = parseTags(tags);
  const order = from !== '' && until !== '' && from < until;
  return (
    <FormDialog
      title="Add freeze"
      open
      close={close}
      verb={`Freeze ${parsed ? coverage(parsed) : ''}`.trim()}
      refusal={!parsed ? 'Use tags as name=value.' : order ? null : 'End must be after start.'}
      submit={async () => {
        await createFreeze({
          title,
          tags: parsed ?? {},
          starts_at: new Date(from).toISOString(),
          ends_at: new Date(until).toISOString(),
          allows_remediation: lenient,
        });
        say('Freeze created; it ends automatically');
        done();
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Reason"
            placeholder="Quarter's end"
            required
            data-autofocus
            value={title}
            onChange={(e) => setTitle(e.currentTarget.value)}
            error={fault('title')}
          />
          <div className="row wrap" style={{ alignItems: 'flex-start' }}>
            <TextInput
              className="grow"
              label="Start"
              type="datetime-local"
              required
              value={from}
              onChange={(e) => setFrom(e.currentTarget.value)}
              error={fault('starts_at')}
            />
            <TextInput
              className="grow"
              label="End"
              type="datetime-local"
              required
              value={until}
              onChange={(e) => setUntil(e.currentTarget.value)}
              error={fault('ends_at')}
            />
          </div>
          <TagsInput
            label="Scope: item tags"
            description="Empty: all items."
            placeholder="env=prod"
            value={tags}
            onChange={setTags}
            error={fault('tags') ?? (parsed ? null : 'use name=value')}
          />
          <Switch
            label="Allow low-risk remediation of alerts"
            checked={lenient}
            onChange={(e) => setLenient(e.currentTarget.checked)}
          />
        </>
      )}
    </FormDialog>
  );
}
