/** Alerts: what fires and why, what is silenced, and by whom. */
import { SegmentedControl, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { type Alert, alertsQuery } from '@/api/alerting';
import { Guarded } from '@/parts/action';
import { Ago } from '@/parts/ago';
import { Card, Headline } from '@/parts/card';
import { useKeys } from '@/parts/keys';
import { plural } from '@/parts/number';
import { Empty, Shown } from '@/parts/states';
import { ofSeverity, StatusBadge, WORD } from '@/parts/status';
import { type Column, DataTable } from '@/parts/table';
import { useParam } from '@/parts/url';
import { AlertDrawer } from './alertDrawer';
import { MaintenanceCard } from './maintenance';
import { pendingWords, titleOf } from './pending';
import { seenBy } from './seenBy';
import { SilenceDialog } from './silenceDialog';
import { Silences } from './silences';

const VIEWS = [
  { value: 'firing', label: 'Firing' },
  { value: 'pending', label: 'Pending' },
  { value: 'muted', label: 'Muted' },
  { value: 'resolved', label: 'Resolved' },
];

export function muteWord(alert: Alert): string {
  return alert.silenced_by ? 'silenced' : alert.suppressed_by ? 'maintenance' : '';
}

const COLUMNS: Column<Alert>[] = [
  {
    id: 'severity',
    head: 'Severity',
    value: (a) => ['critical', 'warning', 'info'].indexOf(a.severity),
    cell: (a) => {
      const status = a.state === 'resolved' ? 'ok' : muteWord(a) ? 'maintenance' : ofSeverity(a.severity);
      return (
        <StatusBadge status={status}>
          {a.state === 'resolved' ? 'Resolved' : muteWord(a) ? 'Muted' : a.severity === 'info' ? 'Info' : WORD[status]}
        </StatusBadge>
      );
    },
    width: 110,
  },
  {
    id: 'name',
    head: 'Alert',
    value: titleOf,
    cell: (a) => (
      <>
        <b className="break">{titleOf(a)}</b>
        <div className="muted break">
          {a.state === 'pending' ? pendingWords(a) : a.name}
          {a.flapping && ' · flapping: the threshold is probably too tight'}
          {muteWord(a) && ` · ${muteWord(a)}`}
        </div>
      </>
    ),
  },
  { id: 'instance', head: 'Host', value: (a) => a.labels.instance, wide: true },
  {
    id: 'source',
    head: 'Source',
    value: seenBy,
    cell: (a) => <span className="muted break">{seenBy(a)}</span>,
    roomy: true,
  },
  {
    id: 'since',
    head: 'Since',
    value: (a) => a.active_since,
    cell: (a) => <Ago at={a.state === 'resolved' ? a.resolved_at : a.active_since} />,
    number: true,
    width: 110,
  },
];

export function Alerts() {
  const [view, setView] = useParam('view', 'firing');
  const [filter, setFilter] = useParam('q');
  const [open, setOpen] = useParam('open');
  const [silence, setSilence] = useParam('silence');
  const request =
    view === 'muted'
      ? { state: 'firing', muted: true, limit: 300 }
      : view === 'firing'
        ? { state: 'firing', muted: false, limit: 300 }
        : { state: view, limit: 300 };
  const alerts = useQuery(alertsQuery(request));
  const firing = useQuery(alertsQuery({ state: 'firing', muted: false, limit: 300 })).data?.items;
  const shown = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    const hay = (a: Alert) =>
      `${a.name} ${a.annotations.summary ?? ''} ${Object.entries(a.labels)
        .map(([k, v]) => `${k}=${v}`)
        .join(' ')}`.toLowerCase();
    return (alerts.data?.items ?? []).filter((a) => words.every((w) => hay(a).includes(w)));
  }, [alerts.data, filter]);
  useKeys({ s: () => setSilence('new') });
  const critical = firing?.filter((a) => a.severity === 'critical').length ?? 0;
  return (
    <>
      <Headline
        tab="Alerts"
        title={
          !firing
            ? 'Alerts'
            : firing.length === 0
              ? 'No alerts firing'
              : `${plural(firing.length, 'alert')} firing${critical > 0 ? `, ${critical} critical` : ', none critical'}`
        }
        lede="Individual alerts with their source. Related alerts are grouped into one incident."
        actions={
          <Guarded permission="silences.write" keys="s" onClick={() => setSilence('new')}>
            Silence…
          </Guarded>
        }
      />
      <div className="row wrap below">
        <SegmentedControl size="xs" aria-label="Which alerts" value={view} onChange={setView} data={VIEWS} />
        <TextInput
          data-filter
          aria-label="Filter alerts"
          placeholder="Filter by name, label…"
          value={filter}
          onChange={(e) => setFilter(e.currentTarget.value)}
          w={260}
        />
      </div>
      <div className="below">
        <Card title={VIEWS.find((v) => v.value === view)?.label ?? 'Alerts'} flush>
          <Shown
            query={alerts}
            what="Alerts"
            rows={5}
            empty={{ when: () => shown.length === 0, show: <None view={view} filtered={filter !== ''} /> }}
          >
            {() => (
              <DataTable
                rows={shown}
                columns={COLUMNS}
                id={(a) => a.id}
                label="Alerts"
                csv="alerts"
                sort="severity"
                aside={plural(shown.length, 'alert')}
                open={(a) => setOpen(a.id)}
              />
            )}
          </Shown>
        </Card>
      </div>
      <div className="cols two">
        <Silences add={() => setSilence('new')} />
        <MaintenanceCard />
      </div>
      <AlertDrawer id={open} close={() => setOpen('')} silence={setSilence} />
      {silence !== '' && <SilenceDialog start={silence === 'new' ? '' : silence} close={() => setSilence('')} />}
    </>
  );
}

function None({ view, filtered }: { view: string; filtered: boolean }) {
  if (filtered) return <Empty title="No alerts match the filter">Clear it to see all.</Empty>;
  const texts: Record<string, [string, string]> = {
    firing: ['No alerts firing', 'Active rules are listed under Admin, Rules.'],
    pending: [
      'No pending alerts',
      'An alert whose condition is true, but not yet for the duration of its rule, is pending.',
    ],
    muted: ['No muted alerts', 'Alerts under a silence or a maintenance window open no incident and are listed here.'],
    resolved: ['No resolved alerts yet', 'Alerts that have resolved are listed here.'],
  };
  const [title, text] = texts[view] ?? ['None', ''];
  return <Empty title={title}>{text}</Empty>;
}
