/** Change windows: the hours of the week in which covered items may be changed at more than low risk. */
import { Checkbox, Select, TagsInput, TextInput } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { type ChangeWindow, createWindow, deleteWindow, windowsQuery } from '@/api/change';
import { Guarded } from '@/parts/action';
import { Card } from '@/parts/card';
import { FormDialog } from '@/parts/dialog';
import { Empty, Shown } from '@/parts/states';
import { coverage, parseTags } from '@/parts/tags';
import { complain, say } from '@/parts/toast';

const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
const capital = (day: string) => day.charAt(0).toUpperCase() + day.slice(1);
const two = (n: number) => String(n).padStart(2, '0');
const hour = (minute: number) => `${two(Math.floor(minute / 60))}:${two(minute % 60)}`;

/** `Mon to Fri, 22:00 to 04:00 the next day`. */
export function hours(window: Pick<ChangeWindow, 'days' | 'start_minute' | 'end_minute'>): string {
  const at = DAYS.map((d, i) => (window.days.includes(d) ? i : -1)).filter((i) => i >= 0);
  const first = at[0] ?? 0;
  const inRow = at.length > 2 && at.every((day, i) => day === first + i);
  const days =
    at.length === 7
      ? 'every day'
      : inRow
        ? `${capital(DAYS[first] ?? '')} to ${capital(DAYS[at.at(-1) ?? 0] ?? '')}`
        : at.map((i) => capital(DAYS[i] ?? '')).join(', ');
  const next = window.end_minute <= window.start_minute ? ' the next day' : '';
  return `${days}, ${hour(window.start_minute)} to ${hour(window.end_minute)}${next}`;
}

export function Windows() {
  const windows = useQuery(windowsQuery);
  const queries = useQueryClient();
  const [adding, setAdding] = useState(false);
  const again = () => void queries.invalidateQueries({ queryKey: ['change-windows'] });
  return (
    <Card
      title="Change windows"
      flush
      aside={
        <Guarded permission="freezes.write" onClick={() => setAdding(true)} label="Add change window">
          Add
        </Guarded>
      }
    >
      <Shown
        query={windows}
        what="Change windows"
        empty={{
          when: (list) => list.length === 0,
          show: (
            <Empty title="No change windows: changes are allowed at any time">
              Items covered by a window are changed only inside it, except at low risk.
            </Empty>
          ),
        }}
      >
        {(list) => (
          <>
            {list.map((window) => (
              <div className="line" key={window.id}>
                <div style={{ minWidth: 0 }}>
                  <b className="break">{window.title}</b>
                  <div className="muted break">
                    {hours(window)} · {window.time_zone} · {coverage(window.tags)}
                  </div>
                </div>
                <Guarded
                  permission="freezes.write"
                  label={`Remove the window ${window.title}`}
                  onClick={() =>
                    void deleteWindow(window.id)
                      .then(
                        () => say('Window removed'),
                        (e) => complain(e, 'Window not removed'),
                      )
                      .then(again)
                  }
                >
                  Remove
                </Guarded>
              </div>
            ))}
          </>
        )}
      </Shown>
      {adding && <AddWindow close={() => setAdding(false)} done={again} />}
    </Card>
  );
}

const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

function AddWindow({ close, done }: { close: () => void; done: () => void }) {
  const [title, setTitle] = useState('');
  const [days, setDays] = useState<string[]>(['mon', 'tue', 'wed', 'thu']);
  const [from, setFrom] = useState('22:00');
  const [until, setUntil] = useState('04:00');
  const [zone, setZone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC');
  const [tags, setTags] = useState<string[]>([]);
  const parsed = parseTags(tags);
  const window = { days, start_minute: minutes(from), end_minute: minutes(until) };
  return (
    <FormDialog
      title="Add change window"
      open
      close={close}
      verb="Add change window"
      refusal={!parsed ? 'Use tags as name=value.' : days.length === 0 ? 'Select at least one day.' : null}
      submit={async () => {
        await createWindow({ title, tags: parsed ?? {}, time_zone: zone, ...window });
        say('Added');
        done();
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Name"
            placeholder="Weekday nights"
            required
            data-autofocus
            value={title}
            onChange={(e) => setTitle(e.currentTarget.value)}
            error={fault('title')}
          />
          <Checkbox.Group label="Days" value={days} onChange={setDays} error={fault('days')}>
            <div className="row wrap" style={{ marginTop: 4 }}>
              {DAYS.map((day) => (
                <Checkbox key={day} value={day} size="xs" label={capital(day)} />
              ))}
            </div>
          </Checkbox.Group>
          <div className="row wrap" style={{ alignItems: 'flex-start' }}>
            <TextInput
              label="Start"
              type="time"
              required
              value={from}
              onChange={(e) => setFrom(e.currentTarget.value)}
              error={fault('start_minute')}
            />
            <TextInput
              label="End"
              type="time"
              required
              value={until}
              onChange={(e) => setUntil(e.currentTarget.value)}
              error={fault('end_minute')}
            />
            <Select
              className="grow"
              label="Time zone"
              searchable
              data={[...new Set(['UTC', zone, ...Intl.supportedValuesOf('timeZone')])]}
              value={zone}
              onChange={(v) => setZone(v ?? 'UTC')}
              error={fault('time_zone')}
            />
          </div>
          <p className="muted">{days.length > 0 && hours(window)}</p>
          <TagsInput
            label="Scope: item tags"
            description="Empty: all items."
            placeholder="env=prod"
            value={tags}
            onChange={setTags}
            error={fault('tags') ?? (parsed ? null : 'use name=value')}
          />
        </>
      )}
    </FormDialog>
  );
}
